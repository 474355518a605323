"""The same through a proxy: its CONNECT is no part of the request."""

import pytest

from ..support.raw_client import TOKEN, exchange, failure
from ..support.raw_server import (
    RawServer,
    answers,
    drips,
    read_request,
    resets,
    says,
    says_nothing,
    wrap,
)

ESTABLISHED = b"HTTP/1.1 200 Established\r\n\r\n"


@pytest.fixture
def through(monkeypatch):
    """Return what comes of an exchange through a proxy with this script, and what that heard."""

    def through(script, url, ask=failure):
        with RawServer(script) as proxy:
            monkeypatch.setenv(f"{url.partition(':')[0]}_proxy", proxy.url)
            return ask(url), b"".join(proxy.requests)

    return through


def grants(connection, answer=b""):
    connection.sendall(ESTABLISHED)
    with wrap(connection) as inside:
        read_request(inside)
        inside.sendall(answer)


def grants_and_answers(connection):
    grants(connection, b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize(
    "script",
    [
        answers(403, keep=False),
        resets(),
        says_nothing,
        drips(ESTABLISHED[:-2] + b"X-Padding: " + b"x" * 99),
        says(ESTABLISHED + b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    ],
)
def test_failed_connect_at_a_proxy_is_certain(through, script):
    error, heard = through(script, "https://gateway.invalid")
    assert error.written is False
    assert heard.startswith(b"CONNECT gateway.invalid:443 ")
    assert TOKEN.encode() not in heard


def test_exchange_goes_through_the_tunnel_of_a_proxy(through, trusted):
    assert through(grants_and_answers, "https://localhost:9", exchange)[0].status == 201


def test_name_in_the_certificate_is_compared(through, trusted):
    error, _ = through(grants_and_answers, "https://gateway.invalid")
    assert (error.written, str(error)) == (False, "SSLCertVerificationError")


def test_break_inside_the_tunnel_is_not_certain(through, trusted):
    assert through(grants, "https://localhost:9")[0].written is True


def test_proxy_that_forwards_has_the_request(through):
    error, heard = through(says(b""), "http://127.0.0.1:9")
    assert error.written is True
    assert heard.startswith(b"POST http://127.0.0.1:9/WW-messages ")


@pytest.mark.parametrize(
    ("proxy", "name"),
    [
        ("socks5://127.0.0.1:9", "ValueError"),  # its connections could not be observed
        ("http://", "InvalidProxyURL"),
        ("http://127.0.0.1:9", "NewConnectionError"),
    ],
)
def test_proxy_that_cannot_be_used_is_certain(monkeypatch, proxy, name):
    monkeypatch.setenv("HTTP_PROXY", proxy)
    error = failure("http://127.0.0.1:8")
    assert (error.written, str(error)) == (False, name)
