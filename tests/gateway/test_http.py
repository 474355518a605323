"""What is certain of an exchange that failed: each row of the white list, and of the rest."""

import os
import socket
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext

import pytest

from django_smsww.clock import elapsed
from django_smsww.gateway import framing, http

from ..support.raw_client import IMPATIENT, TOKEN, exchange, failure
from ..support.raw_server import (
    AUTHORITY,
    RawServer,
    answers,
    drips,
    resets,
    says,
    says_nothing,
)

HEAD = b"HTTP/1.1 201 Created\r\n"


@contextmanager
def full_backlog():
    """A port on which connecting hangs: nobody accepts, and there is no room to wait."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        waiting = [socket.socket() for _ in range(4)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        time.sleep(0.05)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        for client in waiting:
            client.close()


@contextmanager
def tls_on(script, **options):
    with RawServer(script, **options) as server:
        yield f"https://localhost:{server.port}"


NOT_WRITTEN = {
    "name resolution": lambda: nullcontext("https://nowhere.invalid"),
    "refused": lambda: nullcontext("http://127.0.0.1:9"),
    "connect time-out": full_backlog,
    "no TLS spoken": lambda: tls_on(says_nothing),
    "an answer in clear": lambda: tls_on(says(b""), greeting=b"HTTP/1.1 400 No\r\n\r\n"),
    "certificate not trusted": lambda: tls_on(answers(), tls=True),
}


@pytest.mark.parametrize("situation", NOT_WRITTEN)
def test_what_fails_before_the_first_byte_is_certain(situation):
    with NOT_WRITTEN[situation]() as url:
        started = time.monotonic()
        impatient = {"timeout": IMPATIENT, "connect_timeout": IMPATIENT}
        assert failure(url, **impatient).written is False
        assert time.monotonic() - started < 2.5


WRITTEN = {
    "closed before the answer": says(b""),
    "reset before the answer": resets(),
    "reset in the headers": resets(HEAD + b"Content-Le"),
    "reset after the headers": resets(HEAD + b"Content-Length: 20\r\n\r\n"),
    "reset in the body": resets(HEAD + b'Content-Length: 20\r\n\r\n{"data"'),
    "closed in the body": answers(201, b'{"data"', length=20, keep=False),
    "closed in a chunk": says(HEAD + b'Transfer-Encoding: chunked\r\n\r\n20\r\n{"data"'),
    "no answer": says_nothing,
    "dripping status line": drips(HEAD * 9),
    "dripping headers": drips(HEAD + b"X-Padding: " + b"x" * 99),
    "dripping body": lambda connection: (
        says(HEAD + b"Content-Length: 99\r\n\r\n")(connection),
        drips(b"x" * 99)(connection),
    )[1],
    "not HTTP": says(b"SMTP ready\r\n\r\n"),
    "too large": answers(201, b"x" * 9000),
    "too large in chunks": says(
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1000\r\n" + b"x" * 4096 + b"\r\n" * 9
    ),
}


@pytest.mark.parametrize("situation", WRITTEN)
def test_what_fails_after_the_first_byte_is_not_certain_and_not_repeated(situation):
    with RawServer(WRITTEN[situation]) as server:
        started = time.monotonic()
        assert failure(server.url, max_size=2000, timeout=IMPATIENT).written is True
        assert time.monotonic() - started < 2
        assert len(server.requests) == 1


def test_pieces_of_an_answer_do_not_renew_the_time():
    def hesitates(connection):
        time.sleep(0.75 * IMPATIENT)
        connection.sendall(HEAD)
        says_nothing(connection)

    with RawServer(hesitates) as server:
        started = time.monotonic()
        assert failure(server.url, timeout=IMPATIENT).written is True
        assert time.monotonic() - started < 1.6 * IMPATIENT


def test_a_request_does_not_leave_after_the_machine_was_suspended(monkeypatch):
    """Others have taken its message over meanwhile, since its lease was over."""
    connect = http._Connection.connect

    def lid_closed(connection):
        connect(connection)
        monkeypatch.setattr(framing, "elapsed", lambda: elapsed() + 3600)

    monkeypatch.setattr(http._Connection, "connect", lid_closed)
    with RawServer(answers()) as server:
        assert failure(server.url).written is False
        assert server.requests == []


def test_break_of_tls_after_the_request_is_not_certain(monkeypatch):
    """It has the exception class of a failed handshake."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(AUTHORITY))

    def speaks_in_clear(connection):
        os.write(connection.fileno(), b"this is no record of TLS" * 9)

    with RawServer(speaks_in_clear, tls=True) as server:
        error = failure(server.url)
    assert (error.written, "SSL" in str(error)) == (True, True)


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_authority_of_the_environment_is_trusted(monkeypatch, variable):
    monkeypatch.setenv(variable, str(AUTHORITY))
    with RawServer(answers(200, b"[]"), tls=True) as server:
        assert [exchange(server.url).body for _ in range(2)] == [b"[]", b"[]"]
        assert server.connections == 1


@pytest.mark.parametrize("end", [says(b""), resets()])
def test_break_of_a_kept_connection_does_not_send_again(end):
    with RawServer(answers(), end) as server:
        exchange(server.url)
        assert failure(server.url).written is True
        time.sleep(0.1)
        assert len(server.requests) == 2


@pytest.mark.parametrize(("idle", "opened"), [(0, 1), (29, 1), (31, 2)])
def test_connection_is_used_again_unless_it_idled_for_thirty_seconds(monkeypatch, idle, opened):
    with RawServer(answers()) as server:
        exchange(server.url)
        for module in (framing, http):
            monkeypatch.setattr(module, "elapsed", lambda: elapsed() + idle)
        exchange(server.url)
        assert server.connections == opened


def test_rest_of_an_answer_does_not_meet_the_next_request():
    with RawServer(answers(200, b"x" * 9000), answers(201, b"second")) as server:
        failure(server.url, max_size=10)
        assert exchange(server.url).body == b"second"


def test_child_of_a_fork_opens_its_own_connection():
    with RawServer(answers()) as server:
        exchange(server.url)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the server's threads
            child = os.fork()
        if not child:
            try:
                os._exit(exchange(server.url).status != 200)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        exchange(server.url)
        assert (server.connections, len(server.requests)) == (2, 3)


def test_threads_share_the_pool_and_keep_their_answers_apart():
    def echo(connection):
        time.sleep(0.02)
        return answers(200, str(connection.getpeername()[1]).encode())(connection)

    with RawServer(echo) as server, ThreadPoolExecutor(20) as threads:
        bodies = set(threads.map(lambda _: exchange(server.url, timeout=5).body, range(20)))
        assert (len(bodies), len(server.requests)) == (server.connections, 20)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 429, 500, 503])
def test_answer_that_asks_to_go_elsewhere_or_to_come_back_is_not_obeyed(status):
    with RawServer(answers()) as target:
        headers = [f"Location: {target.url}/WW-messages", "Retry-After: 0"]
        with RawServer(answers(status, headers=headers)) as server:
            assert exchange(server.url).status == status
            assert (len(server.requests), target.connections) == (1, 0)


def test_netrc_does_not_replace_the_token(monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with RawServer(answers()) as server:
        exchange(server.url)
        assert f"Authorization: Bearer {TOKEN}".encode() in server.requests[0]


def test_cookies_are_not_kept():
    with RawServer(answers(headers=["Set-Cookie: a=b"])) as server:
        for _ in range(2):
            exchange(server.url)
        assert b"ookie" not in server.requests[1]


def reachable(error):
    """Yield the text of everything that a report of this exception could print."""
    seen = []
    while error is not None and error not in seen:
        seen.append(error)
        yield repr(error) + repr(error.__dict__)
        trace = error.__traceback__
        while trace:
            if trace.tb_frame.f_globals["__name__"].startswith("django_smsww"):
                yield repr(trace.tb_frame.f_locals)
            else:
                assert "tests" in trace.tb_frame.f_code.co_filename
            trace = trace.tb_next
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("script", [says(b""), resets(HEAD), answers(201, b"x" * 5000)])
def test_failure_leads_neither_to_the_token_nor_to_the_words(script):
    with RawServer(script) as server:
        report = "".join(reachable(failure(server.url, max_size=10)))
    assert "RawRequest" in report
    assert "of-the-test" not in report
    assert "private" not in report
