"""The gateway's answers, from the wire to the row and to whoever called."""

import json
from contextlib import suppress
from decimal import Decimal

import pytest

from django_smsww import SMSError, send_messages, send_sms
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
