"""The endpoints of the messages over a real socket."""

import json
import logging
from decimal import Decimal

import pytest

from django_smsww.exceptions import (
    AccessRefused,
    InvalidSMS,
    InvalidToken,
    SMSOutcomeUnknown,
    SMSUnavailable,
)
from django_smsww.gateway.client import Client

from ..support.raw_client import (
    ACCEPTED,
    HELLO,
    HTML,
    IMPATIENT,
    TOKEN,
    body_of,
    client,
    envelope,
    platform,
    refused,
    sent,
)
from ..support.raw_server import (
    RawServer,
    answers,
    header_in,
    resets,
    says,
    says_nothing,
)

# What is sent


def test_plain_message_carries_nothing_empty():
    result, request = sent(answers(201, ACCEPTED))
    assert (result.provider_id, result.state, result.price) == ("1", "NEW", Decimal("0.045"))
    assert request.startswith(b"POST /WW-messages HTTP/1.1\r\n")
    assert header_in(request, "Authorization") == f"Bearer {TOKEN}"
    assert header_in(request, "Content-Type") == "application/json"
    assert header_in(request, "Accept-Encoding") == "identity"
    assert body_of(request) == {"recipient": "+393331234567", "message": "Hello, private words"}


def test_full_message_carries_everything():
    sms = HELLO.replace(sender="Acme", dry_run=True, fail_on_multiple_messages=True, body="però €")
    _, request = sent(answers(201, ACCEPTED), sms, {"url": "https://example.com/"})
    assert body_of(request) == {
        "recipient": "+393331234567",
        "message": "però €",
        "sender": "Acme",
        "options": {"dryRun": True, "failOnMultipleMessages": True},
        "callback": {"url": "https://example.com/"},
    }


def test_dry_run_names_no_message():
    result, _ = sent(answers(201, ACCEPTED), HELLO.replace(dry_run=True))
    assert (result.provider_id, result.segments) == ("", 2)


@pytest.mark.parametrize("custom", [{"a": float("nan")}, {"a": object()}, {"a": "\ud800"}])
def test_what_json_cannot_express_is_not_sent(custom):
    with RawServer(answers()) as server:
        with pytest.raises(InvalidSMS) as caught:
            client(server.url).send("WW", HELLO, {"custom": custom})
        assert server.requests == []
    assert caught.value.__context__ is None


@pytest.mark.parametrize("status", [200, 201, 202])
@pytest.mark.parametrize(
    "body", [ACCEPTED, b'{"id": "1"}', b'{"state": "NEW"}', b'{"data": {"messageCount": 1}}']
)
def test_any_success_with_a_message_in_it_is_accepted(status, body):
    result, _ = sent(answers(status, body, ["Content-Type: text/html"]))
    assert result.error is None


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"null", b"[]", b"{}", b"<html></html>", ACCEPTED[:-3], b'{"data": null}'),
        b'{"success": false, "message": "Something", "error": 1, "data": null}',
    ],
)
def test_success_that_cannot_be_read_is_unknown(body):
    assert refused(answers(201, body), SMSOutcomeUnknown).status == 201


@pytest.mark.parametrize(
    "script", [resets(), says(b""), says_nothing, answers(201, length=9), answers(103, keep=False)]
)
def test_no_final_answer_is_unknown_and_asked_for_once(script):
    assert refused(script, SMSOutcomeUnknown, timeout=IMPATIENT).status is None


def test_nobody_there_is_certain():
    with pytest.raises(SMSUnavailable) as caught:
        client("http://127.0.0.1:9").send("WW", HELLO)
    assert type(caught.value) is SMSUnavailable
    assert caught.value.detail == "NewConnectionError"


def test_reprs_and_log_hold_nothing_personal(caplog):
    with caplog.at_level(logging.DEBUG), RawServer(answers(201, ACCEPTED)) as server:
        one = client(server.url, account_email="me@example.com", api_key="the-key")
        one.send("WW", HELLO)
        seen = caplog.text + repr(one) + repr(one.account) + repr(one.__dict__)
    assert "POST /WW-messages: HTTP 201 in " in caplog.text
    assert str(HELLO.reference) in caplog.text
    for secret in (TOKEN, "393331234567", "private", "the-key", "me@example.com"):
        assert secret not in seen


def looked_up(script, *, provider_id="1"):
    with RawServer(script) as server:
        return client(server.url).fetch(provider_id), server.requests[0]


def test_message_is_fetched_by_its_quoted_id():
    result, request = looked_up(answers(200, b'{"id": "a/?b", "state": "X"}'), provider_id="a/?b")
    assert result.state == "X"
    assert request.startswith(b"GET /messages/a%2F%3Fb HTTP/1.1\r\n")


@pytest.mark.parametrize("body", [b"", platform(1, "Not Found"), envelope(1)])
def test_message_that_the_gateway_does_not_know_is_none(body):
    assert looked_up(answers(404, body))[0] is None


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        *((answers(404, HTML), AccessRefused), (answers(401), InvalidToken)),
        *((answers(status), SMSUnavailable) for status in (307, 408, 500)),
        *((answers(200, body), SMSUnavailable) for body in (HTML, b'{"id": "another"}', b"[]")),
        (resets(), SMSUnavailable),
    ],
)
def test_look_up_without_a_usable_answer_is_no_absence(script, kind):
    with pytest.raises(kind) as caught:
        looked_up(script)
    assert type(caught.value) is kind
    assert "nothing was sent" not in str(caught.value) or kind in (InvalidToken, AccessRefused)


@pytest.mark.parametrize("provider_id", ["", ".", ".."])
def test_no_id_is_not_looked_up(provider_id):
    with pytest.raises(ValueError, match="provider_id is empty"):
        client("http://127.0.0.1:9").fetch(provider_id)


@pytest.mark.parametrize(
    ("script", "states"),
    [
        (answers(200, b'{"data": [{"state": "NEW"}, {"state": "PENDING"}]}'), ["NEW", "PENDING"]),
        (answers(200, b'[{"state": "NEW"}, null, {"state": "NEW"}]'), ["NEW", "", "NEW"]),
        *((answers(200, b'{"data": []}'), []), (answers(200, b'{"data": null}'), [])),
        (answers(200, b'{"data": {"0": {"state": "NEW"}, "3": {"state": "X"}}}'), ["NEW", "X"]),
        *((answers(200, b'{"data": {}}'), []), (answers(200, b'{"data": "[]"}'), [])),
        (answers(200, b'{"data": "[{\\"state\\": \\"NEW\\"}]"}'), ["NEW"]),
        (answers(404), []),
        (answers(404, platform(1, "No messages found")), []),
    ],
)
def test_page_of_messages_is_read(script, states):
    with RawServer(script) as server:
        page = client(server.url).fetch_page(200, 50)
    assert [result.state for result in page] == states
    assert server.requests[0].startswith(b"GET /messages?skip=200&limit=50 HTTP/1.1\r\n")


@pytest.mark.parametrize("body", [platform(125.22, "Try later"), envelope(17, "Try later")])
def test_an_error_with_a_status_of_success_is_no_empty_page_and_keeps_its_words(body):
    with RawServer(answers(200, body), answers(200, body)) as server:
        for look_up in (Client.fetch_page, lambda one: one.fetch("1")):
            with pytest.raises(SMSUnavailable) as caught:
                look_up(client(server.url))
            assert (caught.value.detail, bool(caught.value.code)) == ("Try later", True)
            assert "may have been sent" not in str(caught.value)


def test_page_of_the_longest_messages_fits():
    body = json.dumps({"data": [{"id": str(n), "message": "x" * 39_000} for n in range(100)]})
    with RawServer(answers(200, body.encode())) as server:
        assert len(Client(TOKEN, host=server.url).fetch_page()) == 100


@pytest.mark.parametrize("body", [HTML, b'{"data": {"id": 1}}', b'"text"'])
def test_page_that_cannot_be_read_is_not_empty(body):
    with RawServer(answers(200, body)) as server, pytest.raises(SMSUnavailable):
        client(server.url).fetch_page()
