"""The openapi backend: its options, its routes and the callback that it asks for."""

import pytest

from django_smsww.backends.openapi import SMSBackend
from django_smsww.exceptions import InvalidSMSBackend, SMSRefused
from django_smsww.gateway import signature as signing
from django_smsww.sms import SMS

from ..support.raw_client import ACCEPTED, body_of
from ..support.raw_server import RawServer, answers, own_connections  # noqa: F401

CALLBACK = "https://app.example/sms/callback/"
HELLO = SMS("Hello", "+393331234567")


def backend(**options):
    return SMSBackend(**{"alias": "default", "token": "the-token", **options})


def test_message_goes_out_and_its_result_comes_back():
    with RawServer(answers(201, ACCEPTED)) as server:
        one = backend(host=server.url, callback_url=CALLBACK, sender="Acme", route="auto")
        result = one.send(one.prepare(HELLO))
    assert (result.provider_id, result.state) == ("1", "NEW")
    assert server.requests[0].startswith(b"POST /IT-messages ")
    body = body_of(server.requests[0])
    assert body["sender"] == "Acme"
    assert body["callback"]["custom"]["_smsww"]["reference"] == str(HELLO.reference)


def test_a_second_backend_reads_neither_urls_nor_the_environment_anew(monkeypatch):
    backend(host="https://once.example", callback_url=CALLBACK)
    monkeypatch.setattr("django_smsww.gateway.host.urlsplit", None)
    monkeypatch.setattr("django_smsww.backends.base.urlsplit", None)
    monkeypatch.setattr("django_smsww.backends.openapi.urlsplit", None)
    monkeypatch.setattr("django_smsww.gateway.network.proxies_for", None)
    backend(host="https://once.example", callback_url=CALLBACK)


def test_messages_are_sent_at_once_over_few_connections():
    with RawServer(answers(201, b'{"id": "1"}')) as server:
        one = backend(host=server.url, concurrency=4)
        results = one.send_messages([HELLO.replace(body=str(n)) for n in range(20)])
        assert [result.error for result in results] == [None] * 20
        assert (len(server.requests), server.connections <= 4) == (20, True)


def test_backends_of_one_host_share_its_connection():
    with RawServer(answers(201, b'{"id": "1"}')) as server:
        for token in ("one", "two"):
            backend(host=server.url, token=token).send(HELLO)
        assert server.connections == 1
        assert [b"Bearer one" in r for r in server.requests] == [True, False]


def test_refusal_is_raised():
    no = answers(422, b'{"code": 2011, "message": "No"}')
    with RawServer(no) as server, pytest.raises(SMSRefused, match="code 2011"):
        backend(host=server.url).send(HELLO)


def test_message_and_page_are_looked_up():
    with RawServer(answers(200, b'{"id": "1", "state": "NEW"}'), answers(404)) as server:
        one = backend(host=server.url)
        assert one.fetch("1").state == "NEW"
        assert one.fetch_page(0, 100) == []
    assert one.supports_fetch
    assert one.supports_fetch_page


@pytest.mark.parametrize(
    ("route", "recipient", "taken"),
    [
        ("WW", "+393331234567", "WW"),
        ("IT", "+441234567890", "IT"),
        ("auto", "+393331234567", "IT"),
        ("auto", "+34612345678", "ES"),
        ("auto", "+441234567890", "WW"),
        ("auto", "+351912345678", "WW"),
    ],
)
def test_route_is_fixed_or_follows_the_number(route, recipient, taken):
    assert backend(route=route).route_for(HELLO.replace(recipient=recipient)) == taken


def test_no_callback_is_asked_for_without_a_url():
    assert backend().callback_for(HELLO) is None


def test_callback_carries_the_signature_twice():
    one = backend(callback_url=CALLBACK, callback_method="POST", callback_retry=2)
    callback = one.callback_for(HELLO.replace(custom={"order": 7}))
    stamps = [
        signing.read_custom_stamp({"_smsww": callback["custom"].pop("_smsww")}),
        signing.read_header_stamp(callback.pop("headers")["X-SMSWW-Signature"]),
    ]
    assert callback == {"url": CALLBACK, "method": "POST", "retry": 2, "custom": {"order": 7}}
    named = {(stamp.reference, stamp.environment, stamp.is_authentic) for stamp in stamps}
    assert named == {(HELLO.reference, "app.example", True)}


def test_custom_of_the_user_cannot_replace_ours():
    callback = backend(callback_url=CALLBACK).callback_for(HELLO.replace(custom={"_smsww": 1}))
    assert callback["custom"]["_smsww"]["environment"] == "app.example"


@pytest.mark.parametrize(
    ("options", "environment"),
    [
        ({}, ""),
        ({"callback_url": CALLBACK}, "app.example"),
        ({"callback_url": "http://127.0.0.1:8000/sms/"}, "127.0.0.1"),
        ({"callback_url": CALLBACK, "environment": "staging"}, "staging"),
    ],
)
def test_environment_follows_from_the_callback_url(options, environment):
    assert backend(**options).environment == environment


@pytest.mark.parametrize("token", ["", None, 5])
def test_missing_token_is_named(token):
    with pytest.raises(InvalidSMSBackend) as caught:
        backend(token=token)
    assert str(caught.value) == "SMSWW['default']: OPTIONS must define 'token'."


REFUSED = {
    "token": ["two words"],
    "host": ["sms.openapi.com", "http://sms.openapi.com", 5],
    "route": ["ww", "FR", None, []],
    "callback_url": [
        *(None, "/sms/", "https://", "ftp://a/", "https://a b/"),
        *("https://user:secret@app.example/", "https://user@app.example/"),
    ],
    "callback_method": ["json", "GET", None, []],
    "callback_retry": [-1, 6, True, "5", None],
    "timeout": [0, -1, 601, True, "30", None, (5,), (5, 0), float("nan")],
    "account_email": [None],
    "api_key": [5],
}


@pytest.mark.parametrize(
    ("option", "value"), [(option, value) for option in REFUSED for value in REFUSED[option]]
)
def test_option_that_cannot_be_used_is_named_and_not_shown(option, value):
    with pytest.raises(InvalidSMSBackend) as caught:
        backend(**{option: value})
    text = str(caught.value)
    assert text.startswith(f"SMSWW['default']: OPTIONS['{option}'] ")
    assert "secret" not in text
    assert "two words" not in text


@pytest.mark.parametrize("timeout", [2, 2.5, (0.5, 2), [0.5, 2]])
def test_time_out_is_a_number_or_a_pair(timeout):
    assert backend(timeout=timeout)


def test_repr_names_alias_and_host_and_no_token():
    text = repr(backend(account_email="me@example.com", api_key="the-key"))
    assert "'default'" in text
    assert "https://sms.openapi.com" in text
    assert "the-token" not in text
    assert "the-key" not in text
