"""The same through a proxy: its CONNECT is no part of the request."""

import subprocess
from functools import partial

import pytest
import urllib3
from django.core.checks import run_checks

from django_smsww import checks, send_sms
from django_smsww.exceptions import InvalidSMSBackend
from django_smsww.gateway.network import check_network

from ..support.raw_client import IMPATIENT, TOKEN, exchange, failure
from ..support.raw_server import (
    AUTHORITY,
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
    impatient = partial(failure, timeout=IMPATIENT, connect_timeout=IMPATIENT)
    error, heard = through(script, "https://gateway.invalid", impatient)
    assert error.written is False
    assert heard.startswith(b"CONNECT gateway.invalid:443 ")
    assert TOKEN.encode() not in heard


def test_exchange_goes_through_the_tunnel_of_a_proxy(through, trusted, beyond):
    assert through(grants_and_answers, "https://localhost:9", exchange)[0].status == 201


def test_name_in_the_certificate_is_compared(through, trusted):
    error, _ = through(grants_and_answers, "https://gateway.invalid")
    assert (error.written, str(error)) == (False, "SSLCertVerificationError")


def test_break_inside_the_tunnel_is_not_certain(through, trusted, beyond):
    assert through(grants, "https://localhost:9")[0].written is True


def test_proxy_that_forwards_has_the_request(through):
    error, heard = through(says(b""), "http://gateway.invalid")
    assert error.written is True
    assert heard.startswith(b"POST http://gateway.invalid/WW-messages ")


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
    error = failure("http://gateway.invalid")
    assert (error.written, str(error)) == (False, name)


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_a_gateway_on_this_machine_is_reached_without_a_proxy(monkeypatch, name):
    with RawServer(answers()) as server, RawServer(answers(403)) as proxy:
        for variable in ("HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(variable, proxy.url)
        assert exchange(server.url.replace("127.0.0.1", name)).status == 200
        assert proxy.requests == []


@pytest.fixture
def production(settings):
    """Configure the gateway's production host; nothing of it is reached."""
    check_network.cache_clear()
    settings.SMSWW = {"default": {"OPTIONS": {"token": TOKEN, "host": "production"}}}


def faults():
    return [each.msg for each in run_checks(tags=[checks.TAG]) if each.id == "smsww.E001"]


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY"])
@pytest.mark.parametrize("scheme", ["socks4", "socks5", "SOCKS5H"])
def test_a_socks_proxy_is_a_configuration_error(production, monkeypatch, variable, scheme):
    monkeypatch.setenv(variable, f"{scheme}://user:s3cr3t@127.0.0.1:9")
    [fault] = faults()
    assert "SOCKS proxies are not supported" in fault
    assert "s3cr3t" not in fault
    monkeypatch.setenv("NO_PROXY", "sms.openapi.com")
    assert faults() == []


def test_urllib3_future_is_refused_before_anything_is_sent(production, monkeypatch):
    """Niquests installs it in the place of urllib3; it has these versions."""
    monkeypatch.setattr(urllib3, "__version__", "2.25.904")
    assert "pip uninstall urllib3-future" in faults()[0]
    with pytest.raises(InvalidSMSBackend, match="urllib3-future"):
        send_sms("Hello", "+393331234567")


def test_certificates_may_lie_in_a_list_of_folders(monkeypatch, tmp_path):
    empty, ours = tmp_path / "empty", tmp_path / "ours"
    empty.mkdir()
    ours.mkdir()
    command = ["openssl", "x509", "-in", AUTHORITY, "-noout", "-hash"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (ours / f"{done.stdout.strip()}.0").write_bytes(AUTHORITY.read_bytes())
    monkeypatch.setenv("SSL_CERT_DIR", f"{empty}:{ours}:{tmp_path / 'missing'}")
    with RawServer(answers(200, b"[]"), tls=True) as server:
        assert exchange(server.url).body == b"[]"
