"""A server that says, byte by byte, what a test tells it to, and counts what it was asked."""

import socket
import ssl
import struct
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from django_smsww.gateway.http import close_connections

TLS = Path(__file__).parents[1] / "tls"
AUTHORITY = TLS / "authority.pem"
"""Signed the certificate of "localhost", which expires in a hundred years."""

ENVIRONMENT = (
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR", "NETRC"),
)


@pytest.fixture(autouse=True)
def own_connections(monkeypatch):
    """Give each test connections of its own, and none of the machine's proxies."""
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    close_connections()
    yield
    close_connections()


class RawServer:
    """Answers its first request by the first script, and so on; the last script repeats.

    A script is called with the connection, and returns True to keep it open. A `greeting` is said
    before any request.
    """

    def __init__(self, *scripts, tls=False, greeting=b""):
        self.scripts = list(scripts)
        self.requests = []
        self.connections = 0
        self._tls, self._greeting = tls, greeting
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._open = []
        self.port = self._listener.getsockname()[1]
        self.url = f"https://localhost:{self.port}" if tls else f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        self._threads[0].start()
        return self

    def __exit__(self, *exc):
        stop(self._listener)
        for connection in list(self._open):
            stop(connection)
        for thread in list(self._threads):
            thread.join(2)

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            thread = threading.Thread(target=self._serve, args=[connection], daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection):
        try:
            if self._tls:
                connection = wrap(connection)
                self._open.append(connection)
            connection.sendall(self._greeting)
            while request := read_request(connection):
                self.requests.append(request)
                script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
                if not script(connection):
                    return
        except OSError:
            pass  # the client has gone, or the test is over
        finally:
            connection.close()


def wrap(connection):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "localhost.pem")
    return context.wrap_socket(connection, server_side=True)


def stop(connection):
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


def read_request(connection):
    """Read one request with its body; b"" when there is none."""
    received = b""
    while b"\r\n\r\n" not in received:
        if not (piece := connection.recv(65536)):
            return b""
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(header_in(head, "Content-Length") or 0)
    while len(body) < length:
        if not (piece := connection.recv(65536)):
            return b""
        body += piece
    return head + b"\r\n\r\n" + body


def header_in(request, name):
    """Return a header of a request as text, or None."""
    for line in request.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.decode().lower() == name.lower():
            return value.strip().decode()
    return None


def answers(status=200, body=b"{}", headers=(), *, length=None, keep=True):
    """Answer in one piece; `length` is what Content-Length says of the body."""
    length = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {length}", *headers]
    return says("\r\n".join(lines).encode() + b"\r\n\r\n" + body, keep=keep)


def says(raw, *, keep=False):
    """Send these bytes."""

    def script(connection):
        connection.sendall(raw)
        return keep

    return script


def resets(after=b""):
    """Send these bytes, then break the connection off."""

    def script(connection):
        connection.sendall(after)
        if after:
            time.sleep(0.05)  # a reset overtakes what was not read yet
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return script


def drips(raw, *, seconds=0.05, limit=60):
    """Send a byte at a time, for ever as far as the test is concerned."""

    def script(connection):
        for start in range(min(len(raw), limit)):
            connection.sendall(raw[start : start + 1])
            time.sleep(seconds)

    return script


def says_nothing(connection):
    """Hold the connection until the client leaves it."""
    connection.recv(1)
