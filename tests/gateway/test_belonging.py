"""An answer belongs to its request: that is proved, and where it cannot be, nothing is certain."""

import json
import select
import socket
import threading
import time
from contextlib import suppress

import pytest

from django_smsww import SMSError, send_sms
from django_smsww.gateway import http
from django_smsww.gateway.http import close_connections
from django_smsww.models import Message

from ..support.raw_client import IMPATIENT, body_of, exchange, failure
from ..support.raw_server import RawServer, answers, drips, read_request, says, wrap

pytestmark = pytest.mark.usefixtures("trusted")

HEAD = b"HTTP/1.1 201 Created\r\n"
SIZED = b"Content-Length: 2\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
OURS = HEAD + SIZED + b"\r\n{}"
IN_CHUNKS = HEAD + CHUNKED + b"\r\n2\r\n{}\r\n0\r\n\r\n"
ANOTHERS = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 6\r\n\r\nanothe"
SECOND = answers(200, b"second")

over_both = pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])


def before_another(script, *, opened, ask=exchange, pause=0.0, tls=False):
    """Return what comes of an exchange, once the next one got its own answer.

    Both requests arrived, over so many connections.
    """
    with RawServer(script, SECOND, tls=tls) as server:
        first = ask(server.url, timeout=5)
        time.sleep(pause)
        assert exchange(server.url, timeout=5).body == b"second"
        assert (len(server.requests), server.connections) == (2, opened)
    return first


def interim(*statuses, headers=b""):
    return b"".join(b"HTTP/1.1 %d Not Yet\r\n%s\r\n" % (status, headers) for status in statuses)


def says_in_pieces(*pieces, pause=0.0):
    def script(connection):
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause)
        return True

    return script


INTERIM = {
    **{str(status): [status] for status in (100, 102, 103, 150, 199)},
    "every one": [status for status in range(100, 200) if status != 101],
    "backwards": [status for status in range(199, 99, -1) if status != 101],
    "mixed": [100, 103, 100, 102, 103],
    "several hundred": [103, 102] * 200,
}


@over_both
@pytest.mark.parametrize("statuses", INTERIM.values(), ids=INTERIM)
def test_interim_answers_are_not_the_answer(statuses, tls):
    hints = interim(*statuses, headers=b"Link: </style.css>; rel=preload\r\n")
    first = before_another(says(hints + OURS, keep=True), opened=1, tls=tls)
    assert (first.status, first.body, first.is_sole) == (201, b"{}", True)


def test_interim_answer_in_pieces_before_a_slow_answer():
    pieces = [b"HTTP/1.1 10", b"3 Early Hints\r\nLi", b"nk: </a>\r\n", b"\r\n" + OURS]
    with RawServer(says_in_pieces(*pieces, pause=0.03)) as server:
        assert exchange(server.url).status == 201


NOT_TO_BE_READ_PAST = {
    "switching protocols": interim(101) + OURS,
    "switching protocols after others": interim(100, 103, 101) + OURS,
    "with a length": interim(103, headers=SIZED) + OURS,
    "with a transfer coding": interim(103, headers=b"transfer-encoding: chunked\r\n") + OURS,
    "with a line that is no header": interim(103, headers=b"rubbish\r\n") + OURS,
    "with a head beyond reason": interim(103, headers=b"Link: </a>\r\n" * 9000) + OURS,
    "without end": interim(*[103] * 5000) + OURS,
    "broken off": b"HTTP/1.1 103 Early Hints\r\nLink: </a>",
    "nothing after it": interim(103),
    "odd digits": b"HTTP/1.1 1_0 Continue\r\n\r\n" + OURS,
    "status of two digits": b"HTTP/1.1 99 What\r\n\r\n" + OURS,
    "blank line before it": b"\r\n" + OURS,
}
DOUBTFUL_END = {
    "length and chunks": HEAD + SIZED + CHUNKED + b"\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunks and length": HEAD + CHUNKED + SIZED + b"\r\n2\r\n{}\r\n0\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 7\r\n" + SIZED + b"\r\n{}",
    "two lengths in one line": HEAD + b"Content-Length: 2, 7\r\n\r\n{}",
    **{
        f"length {value!r}": HEAD + b"Content-Length: %s\r\n\r\n{}" % value
        for value in (b"two", b"-2", b"+2", b"0_2", b"0x2", b"2.0", b"", b"9" * 40)
    },
    "chunks of HTTP/1.0": b"HTTP/1.0 201 Created\r\n" + IN_CHUNKS.partition(b"\r\n")[2],
    "another coding": HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunked twice": HEAD + CHUNKED * 2 + b"\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunks of a 204": b"HTTP/1.1 204 No Content\r\n" + CHUNKED + b"\r\n",
    "negative chunk": HEAD + CHUNKED + b"\r\n-1\r\n{}\r\n0\r\n\r\n",
    "chunk without a size": HEAD + CHUNKED + b"\r\n\r\n{}\r\n0\r\n\r\n",
    "chunk longer than its size": HEAD + CHUNKED + b"\r\n2\r\n{}{}\r\n0\r\n\r\n",
    "length behind a line that is no header": HEAD + b"rubbish\r\n" + SIZED + b"\r\n{}",
    "another protocol": b"HTTP/2 201 Created\r\n" + SIZED + b"\r\n{}",
}


@pytest.mark.parametrize(
    "raw",
    [*NOT_TO_BE_READ_PAST.values(), *DOUBTFUL_END.values()],
    ids=[*NOT_TO_BE_READ_PAST, *DOUBTFUL_END],
)
def test_answer_of_doubtful_begin_or_end_is_not_certain_and_breaks_the_connection(raw):
    assert before_another(says(raw), opened=2, ask=failure).written is True


@pytest.mark.parametrize("status", [100, 102, 103])
def test_interim_answers_that_drip_for_ever_end_with_the_time(status):
    with RawServer(drips(interim(*[status] * 99), seconds=0.02, limit=200)) as server:
        started = time.monotonic()
        assert failure(server.url, timeout=IMPATIENT).written is True
        assert time.monotonic() - started < 1.6 * IMPATIENT


MORE = {
    "two answers at once": (ANOTHERS + OURS, 429),
    "an answer twice": (OURS + OURS, 201),
    "bytes after the length": (OURS + b"x", 201),
    "bytes after the last chunk": (IN_CHUNKS + b"x", 201),
    "interim answer after the answer": (OURS + interim(103), 201),
    "body of a 204": (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", 204),
    "body of a 304": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello", 304),
    "more than the buffer": (OURS + ANOTHERS * 400, 201),
    "before the end": (HEAD + b"Connection: close\r\n" + SIZED + b"\r\n{}" + ANOTHERS, 201),
}


@over_both
@pytest.mark.parametrize(("raw", "status"), MORE.values(), ids=MORE)
def test_what_comes_with_an_answer_does_not_meet_the_next_request(raw, status, tls):
    first = before_another(says(raw, keep=True), opened=2, tls=tls)
    assert (first.status, first.is_sole) == (status, False)


@over_both
@pytest.mark.parametrize("pause", [0, 0.05])
@pytest.mark.parametrize("whole", [OURS, IN_CHUNKS], ids=["sized", "chunked"])
def test_what_comes_after_an_answer_does_not_meet_the_next_request(whole, pause, tls):
    """In a packet, or a record of TLS, of its own."""
    script = says_in_pieces(whole, ANOTHERS, pause=pause)
    assert before_another(script, opened=2, pause=0.15, tls=tls).status == 201


@over_both
def test_end_of_the_connection_right_after_the_answer_is_nothing_more(tls):
    assert before_another(says(OURS), opened=2, pause=0.05, tls=tls).is_sole


def test_new_connection_in_place_of_one_with_a_rest_goes_through_the_proxy_too(monkeypatch, beyond):
    def tunnel(connection):
        connection.sendall(b"HTTP/1.1 200 Established\r\n\r\n")
        with wrap(connection) as inside:
            read_request(inside)
            inside.sendall(OURS)
            time.sleep(0.05)
            inside.sendall(ANOTHERS)
            read_request(inside)

    with RawServer(tunnel) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        for _ in range(2):
            assert exchange("https://localhost:9").status == 201
            time.sleep(0.1)
        close_connections()  # the server waits for their ends
        assert [request.split(b" ")[0] for request in proxy.requests] == [b"CONNECT"] * 2


@over_both
def test_answer_on_a_new_connection_before_the_request_is_certain(monkeypatch, tls):
    connect = http._Connection.connect

    def connects_slowly(connection):
        connect(connection)
        time.sleep(0.1)

    monkeypatch.setattr(http._Connection, "connect", connects_slowly)
    with RawServer(SECOND, tls=tls, greeting=OURS) as server:
        assert failure(server.url).written is False
        assert server.requests == []


@over_both
def test_long_request_is_written_whole(tls):
    """The session tickets of TLS, which arrive meanwhile, are no answer."""
    with RawServer(answers(201), tls=tls) as server:
        for _ in range(2):
            assert exchange(server.url, body=b"x" * 100_000).status == 201
        assert server.connections == 1


@pytest.mark.parametrize("goes_on", [True, False], ids=["reads on", "leaves"])
def test_answer_before_the_request_was_whole_is_not_certain(goes_on):
    def answers_the_head(listener):
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.recv(1000)
            connection.sendall(ANOTHERS)
            time.sleep(0.2)
            while goes_on and connection.recv(1 << 20):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answers_the_head, args=[listener])
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        assert failure(url, timeout=3, body=b"x" * (16 << 20)).written is True
        thread.join(2)


OLD = b"HTTP/1.0 201 Created\r\n"
TRAILED = b"\r\n02;a=b\r\n{}\r\n0\r\nX-Trailer: a\r\n\r\n"
BELIEVED = {
    "HTTP/1.0": (OLD + SIZED + b"\r\n{}", 2),
    "HTTP/1.0 that keeps": (OLD + b"Connection: keep-alive\r\n" + SIZED + b"\r\n{}", 1),
    "HTTP/1.1 that closes": (HEAD + b"Connection: close\r\n" + SIZED + b"\r\n{}", 2),
    "the same length twice": (HEAD + SIZED * 2 + b"\r\n{}", 1),
    "chunks": (IN_CHUNKS, 1),
    "chunks with extension and trailer": (HEAD + CHUNKED.title() + TRAILED, 1),
    "no reason": (b"HTTP/1.1 201\r\n" + SIZED + b"\r\n{}", 1),
}


@pytest.mark.parametrize(("raw", "opened"), BELIEVED.values(), ids=BELIEVED)
def test_answer_that_is_believed_and_whether_its_connection_is_kept(raw, opened):
    first = before_another(says(raw, keep=True), opened=opened)
    assert (first.status, first.body, first.is_sole) == (201, b"{}", True)


@pytest.mark.django_db(transaction=True)
def test_message_after_an_interim_answer_is_not_paid_twice(settings):
    """103 was once taken for the answer, so each message read the answer to the one before it."""
    paid = []

    def hints_and_refuses_late(connection):
        connection.sendall(interim(103))
        select.select([connection], [], [], 0.2)
        connection.sendall(ANOTHERS.replace(b"Content", b"Retry-After: 1\r\nContent"))
        return True

    def accepts(connection):
        said = body_of(server.requests[-1])
        paid.append(said["message"])
        answer = {"data": {"id": f"id-{len(paid)}", "callback": said["callback"]}}
        return answers(201, json.dumps(answer).encode())(connection)

    with RawServer(hints_and_refuses_late, accepts) as server:
        options = {"token": "t", "host": server.url, "callback_url": "https://a.example/"}
        settings.SMSWW = {"default": {"OPTIONS": options}}
        # Whoever reads "nothing was sent" tries again, and the key allows it.
        for words in ("zero", "one", "one", "one"):
            with suppress(SMSError):
                send_sms(words, "+393331234567", key=words)
    assert paid == ["one"]
    rows = Message.objects.order_by("pk").values_list("state", "error", "provider_id")
    assert list(rows) == [("FAILED", "SMSUnavailable", None), ("NEW", "", "id-1")]
