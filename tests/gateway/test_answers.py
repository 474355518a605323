"""The gateway's answers, from the wire to the row and to whoever called."""

import gzip
import json
import zlib
from contextlib import suppress
from decimal import Decimal

import pytest

from django_smsww import SMSError, SMSOutcomeUnknown, send_messages, send_sms
from django_smsww.backends.handler import sms_backends
from django_smsww.gateway.host import NAMED_HOSTS
from django_smsww.models import Message, Suspension
from django_smsww.signals import message_failed, message_sent
from django_smsww.sms import SMS

from ..support.raw_server import RawServer, answers

NUMBER = "+393331234567"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def speaking(settings):
    """Return a function that starts a server with these scripts, and configures it as the host."""
    servers = []

    def start(*scripts, **options):
        server = RawServer(*scripts)
        server.__enter__()
        servers.append(server)
        options = {"token": "t", "host": server.url, "timeout": 5, "concurrency": 1} | options
        settings.SMSWW = {
            "default": {
                "BACKEND": "django_smsww.backends.openapi.SMSBackend",
                "OPTIONS": options,
            }
        }
        return server

    yield start
    for server in servers:
        server.__exit__()


# Accepted, and marked as blocklisted

EXAMPLE = {
    "id": "1",
    "state": "NEW",
    "messageCount": 2,
    "blocklisted": True,
    "blocklistedReason": "a word",
}
"""As the product page and the specification show an accepted message."""


def example(**changes):
    return answers(201, json.dumps({"data": EXAMPLE | changes}).encode())


@pytest.fixture
def production(monkeypatch):
    """Return a function that makes a server the production host."""
    return lambda server: monkeypatch.setitem(NAMED_HOSTS, "production", server.url)


def test_the_documented_example_of_an_accepted_message_is_accepted(speaking, caplog):
    heard = []

    def note(sender, message, signal, **extra):
        heard.append((signal, message.blocklisted))

    for signal in (message_sent, message_failed):
        signal.connect(note)
    speaking(example(), example(id="2"))
    try:
        message = send_sms("Hello", NUMBER)
    finally:
        for signal in (message_sent, message_failed):
            signal.disconnect(note)
    assert (message.state, message.provider_id, message.error) == ("NEW", "1", "")
    assert (message.blocklisted, message.blocklisted_reason) == (True, "a word")
    assert message.penalty == Decimal(2)
    assert heard == [(message_sent, True)]
    assert f"Message {message.reference} was accepted, and is marked as blocklisted" in caplog.text
    assert "a word" not in caplog.text
    assert send_sms("Hello", "+393331234568").state == "NEW"


def test_twins_of_a_blocklisted_text_wait_on_the_production_host(speaking, production):
    server = speaking(example(), example(id="2"))
    production(server)
    rows = send_messages([SMS(text, NUMBER, key=text) for text in ("Bad", "Good")])
    rows += send_messages([SMS("Bad", "+393331234568")])
    assert [row.state for row in rows] == ["NEW", "NEW", "FAILED"]
    assert (rows[2].error, len(server.requests)) == ("ContentRefused", 2)
    assert {one.error for one in Suspension.objects.all()} == {"ContentRefused"}


@pytest.mark.parametrize(("is_production", "state"), [(False, "VALIDATED"), (True, "FAILED")])
def test_a_blocklisted_dry_run_fails_where_a_fine_is_possible(
    speaking, production, is_production, state
):
    server = speaking(example())
    if is_production:
        production(server)
    with suppress(SMSError):
        send_sms("Hello", NUMBER, dry_run=True)
    message = Message.objects.get()
    assert (message.state, message.penalty) == (state, None)


# Compressed, although nobody asked for it

SUCCESS = b'{"data": {"id": "1", "state": "NEW"}}'
FORBIDDEN = b'{"code": 2044, "message": "Forbidden"}'


def bare(body):
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(body) + stream.flush()


CODINGS = {
    "gzip": gzip.compress,
    "x-gzip": lambda body: gzip.compress(body[:9]) + gzip.compress(body[9:]),
    "GZIP, deflate": lambda body: zlib.compress(gzip.compress(body)),
    "deflate": zlib.compress,
    "identity, deflate": bare,
    "gzip ": bytes,  # a proxy that decompresses, and leaves the header as it was
}


def coded(status, body, coding):
    return answers(status, body, [f"Content-Encoding: {coding}"])


@pytest.mark.parametrize("coding", CODINGS)
def test_a_compressed_answer_is_read(speaking, coding):
    compress = CODINGS[coding]
    speaking(coded(201, compress(SUCCESS), coding), coded(422, compress(FORBIDDEN), coding))
    assert send_sms("Good", NUMBER).provider_id == "1"
    rows = send_messages([SMS("Bad", NUMBER), SMS("Bad", "+393331234568")])
    assert [(row.state, row.error) for row in rows] == [("FAILED", "ContentRefused")] * 2
    assert [row.attempts for row in rows] == [1, 0]


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        (gzip.compress(b" " * (2 << 20) + SUCCESS), "gzip"),
        (gzip.compress(b" " * 200_000 + SUCCESS), "gzip"),
        (gzip.compress(SUCCESS)[:-1], "gzip"),
        (gzip.compress(gzip.compress(gzip.compress(SUCCESS))), "gzip, gzip, gzip"),
        (SUCCESS[::-1], "br"),
    ],
    ids=["too large", "too often", "cut off", "three codings", "unknown"],
)
def test_a_success_that_cannot_be_decoded_is_unknown(speaking, body, coding):
    server = speaking(coded(201, body, coding), coded(404, body, coding))
    with pytest.raises(SMSOutcomeUnknown):
        send_sms("Hello", NUMBER)
    with pytest.raises(SMSError):  # and no absence
        sms_backends["default"].fetch("1")
    assert len(server.requests) == 2


# The gateway's own words


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        (b'{"code": 77, "message": "Odd"}', "77", "Odd"),
        (b'{"success": false, "message": "Odd", "error": 7.5, "data": null}', "7.5", "Odd"),
        (b'{"message": ["Odd", "to +393331234567"]}', "outcome_unknown", '["Odd", "to ***"]'),
        (b"Odd", "outcome_unknown", "Odd"),
    ],
)
def test_words_beside_a_success_are_kept_and_nothing_is_certain(speaking, body, code, text):
    speaking(answers(200, body))
    with pytest.raises(SMSOutcomeUnknown, match="cannot be read"):
        send_sms("Hello", NUMBER)
    row = Message.objects.get()
    assert (row.state, row.error_code, row.error_status) == ("UNKNOWN", code, 200)
    assert text in row.error_text
    assert "3331234567" not in row.error_text


def test_forbidden_content_under_a_status_of_success_stops_the_text(speaking):
    server = speaking(answers(200, FORBIDDEN))
    rows = send_messages([SMS("Bad", NUMBER), SMS("Bad", "+393331234568")])
    assert [(row.state, row.error_code) for row in rows] == [
        ("UNKNOWN", "2044"),
        ("FAILED", "2044"),
    ]
    assert len(server.requests) == 1


@pytest.mark.parametrize("body", [b'{"data": [%s]}', b"[%s]", b'{"data": %s}'])
def test_a_list_of_one_is_the_message_and_a_long_id_is_kept(speaking, body):
    message = b'{"id": 1234567890123456789, "state": "PENDING"}'
    speaking(answers(201, body % message), answers(200, body % message))
    row = send_sms("Hello", NUMBER)
    assert (row.state, row.provider_id) == ("PENDING", "1234567890123456789")
    assert sms_backends["default"].fetch(row.provider_id).state == "PENDING"
