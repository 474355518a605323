"""The host of the account over a real socket; which host is which; and the token of each."""

import json
from base64 import b64decode
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from django_smsww.exceptions import InvalidToken
from django_smsww.gateway.client import normalise_token
from django_smsww.gateway.host import account_url, messages_url

from ..support.raw_client import TOKEN, client, platform
from ..support.raw_server import RawServer, answers, header_in


def account(server):
    return client(server.url, account_email="me@example.com", api_key="the-key").account


def asked_account(body, call):
    with RawServer(answers(200, json.dumps(body).encode())) as server:
        return call(account(server)), server.requests[0]


def test_account_gets_basic_credentials_and_never_the_token():
    body = {"data": {"credit": 125.5, "updatedAt": "2026-02-12T08:30:00+00:00"}}
    wallet, request = asked_account(body, lambda account: account.wallet())
    assert (wallet.credit, wallet.updated_at.year) == (Decimal("125.5"), 2026)
    scheme, _, value = header_in(request, "Authorization").partition(" ")
    assert (scheme, b64decode(value)) == ("Basic", b"me@example.com:the-key")
    assert TOKEN.encode() not in request


def test_tokens_are_listed_with_their_expiry():
    abc = {"token": "abc", "refreshToken": "def", "expireAt": "2027-01-01T00:00:00Z"}
    body = {"data": [abc, {"token": "ghi", "expire": 1798761600}]}
    tokens, _ = asked_account(body, lambda account: account.tokens())
    assert [token.token for token in tokens] == ["abc", "ghi"]
    assert {token.expires_at for token in tokens} == {datetime(2027, 1, 1, tzinfo=UTC)}
    assert "abc" not in repr(tokens)


def test_empty_list_of_the_account_may_be_a_404():
    with RawServer(answers(404, platform(1, "Not Found"))) as server:
        assert account(server).tokens() == []


def test_account_without_credentials_asks_nobody():
    with RawServer(answers()) as server:
        with pytest.raises(ValueError, match="'account_email' and 'api_key'"):
            client(server.url).account.wallet()
        assert server.requests == []


def test_refused_credentials_of_the_account():
    with RawServer(answers(401)) as server, pytest.raises(InvalidToken):
        account(server).wallet()


def test_an_error_of_the_account_host_repeats_neither_address_nor_key():
    page = platform(401, "unknown key the-key of me@example.com")
    with RawServer(answers(401, page)) as server, pytest.raises(InvalidToken) as caught:
        account(server).wallet()
    assert "unknown" in caught.value.detail
    assert not [
        secret for secret in ("the-key", "me@example.com") if secret in repr(vars(caught.value))
    ]


@pytest.mark.parametrize("pasted", ["abc", " abc\n", "Bearer abc", "bearer  abc ", "\tBEARER abc"])
def test_token_is_taken_as_it_is_pasted(pasted):
    assert normalise_token(pasted) == "abc"


@pytest.mark.parametrize("pasted", ["", " ", "Bearer", "Bearer ", "a b", "a\r\nX: y", "più"])
def test_what_is_no_token_is_refused_and_not_shown(pasted):
    with pytest.raises(ValueError, match="token") as caught:
        normalise_token(pasted)
    assert pasted.strip() in ("", "Bearer") or pasted not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "messages", "account"),
    [
        ("production", "https://sms.openapi.com", "https://oauth.openapi.com"),
        ("sandbox", "https://test.sms.openapi.com", "https://test.oauth.openapi.com"),
        ("https://sms.openapi.com/", "https://sms.openapi.com", "https://oauth.openapi.com"),
        ("http://127.0.0.1:8010/", "http://127.0.0.1:8010", "http://127.0.0.1:8010"),
        *[(url,) * 3 for url in ("http://[::1]:8010", "http://localhost", "https://a.example/sms")],
    ],
)
def test_host_is_a_name_or_a_url(host, messages, account):
    assert (messages_url(host), account_url(messages_url(host))) == (messages, account)


@pytest.mark.parametrize(
    "host",
    [
        *("", "sms.openapi.com", "ftp://sms.openapi.com", "https://", "https://a b", None),
        *("http://sms.openapi.com", "http://192.168.1.1", "http://127.0.0.1.evil.example"),
        *("https://user:pass@sms.openapi.com", "https://sms.openapi.com/?a=b", "https://a:b"),
        *("https://oauth.openapi.com", "https://[::1", "https://più.example"),
    ],
)
def test_host_that_cannot_be_meant_is_refused(host):
    with pytest.raises(ValueError, match="host"):
        messages_url(host)


def test_client_opens_nothing_by_itself():
    with RawServer(answers()) as server:
        client(server.url)
        assert server.connections == 0
