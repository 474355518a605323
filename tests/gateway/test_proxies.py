"""The same through a proxy: its CONNECT is no part of the request."""

import pytest

from ..support.raw_client import TOKEN, exchange, failure
from ..support.raw_server import (
    AUTHORITY,
    RawServer,
    answers,
    drips,
    own_connections,  # noqa: F401
    read_request,
    resets,
    says,
    says_nothing,
    wrap,
)


def grants_and_answers(connection):
    connection.sendall(b"HTTP/1.1 200 Established\r\n\r\n")
    with wrap(connection) as inside:
        read_request(inside)
        answers(201, b'{"id": "1"}')(inside)


def grants_and_breaks(connection):
    connection.sendall(b"HTTP/1.1 200 Established\r\n\r\n")
    with wrap(connection) as inside:
        read_request(inside)


@pytest.mark.parametrize(
    "script",
    [
        answers(403, keep=False),
        resets(),
        says_nothing,
        drips(b"HTTP/1.1 200 Established\r\nX-Padding: " + b"x" * 99),
        says(b"HTTP/1.1 200 Established\r\n\r\nHTTP/1.1 400 Bad Request\r\n\r\n"),
    ],
)
def test_failed_connect_at_a_proxy_is_certain(monkeypatch, script):
    with RawServer(script) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        assert failure("https://gateway.invalid").written is False
        assert proxy.requests[0].startswith(b"CONNECT gateway.invalid:443 ")
        assert TOKEN.encode() not in b"".join(proxy.requests)


def test_exchange_goes_through_the_tunnel_of_a_proxy(monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(AUTHORITY))
    with RawServer(grants_and_answers) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        assert exchange("https://localhost:9").status == 201


def test_name_in_the_certificate_is_compared(monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(AUTHORITY))
    with RawServer(grants_and_answers) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        error = failure("https://gateway.invalid")
    assert (error.written, str(error)) == (False, "SSLCertVerificationError")


def test_break_inside_the_tunnel_is_not_certain(monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(AUTHORITY))
    with RawServer(grants_and_breaks) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        assert failure("https://localhost:9").written is True


def test_proxy_that_forwards_has_the_request(monkeypatch):
    with RawServer(says(b"")) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert failure("http://127.0.0.1:9").written is True
        assert proxy.requests[0].startswith(b"POST http://127.0.0.1:9/WW-messages ")


def test_proxy_whose_connections_cannot_be_observed_is_refused(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "socks5://127.0.0.1:9")
    error = failure("http://127.0.0.1:8")
    assert (error.written, str(error)) == (False, "ValueError")


@pytest.mark.parametrize("proxy", ["http://", "http://127.0.0.1:9"])
def test_proxy_that_cannot_be_used_is_certain(monkeypatch, proxy):
    monkeypatch.setenv("HTTP_PROXY", proxy)
    assert failure("http://127.0.0.1:8").written is False
