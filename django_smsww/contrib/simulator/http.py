"""HTTP without a framework: requests, responses, and ways to write a response to a socket."""

import gzip
import ipaddress
import json
import os
import select
import socket
import ssl
import struct
import threading
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from email.message import Message
from http import HTTPStatus
from typing import Any

from .profiles import Profiles


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request with its complete body."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Message
    body: bytes = b""
    client: str = "127.0.0.1"

    def json(self) -> Any:
        """Decode the body as JSON. Answer 400 if the body or its Content-Type is not JSON."""
        if not self.headers.get("Content-Type", "").lower().startswith("application/json"):
            raise platform_error(400, "Content-Type must be application/json")
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise platform_error(400, "Malformed JSON") from None

    def fields(self) -> dict[str, Any]:
        """Decode the body as a JSON object. Answer 422 if the JSON is not an object."""
        fields = self.json()
        if not isinstance(fields, dict):
            raise platform_error(422, "The request body must be an object.")
        return fields

    def number(self, name: str, default: int, *, maximum: int | None = None) -> int:
        """Read a whole number from the query string. Answer 400 if the value is not a number.

        A number above ``maximum`` is replaced by ``maximum``.
        """
        text = self.query.get(name, str(default))
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise platform_error(400, "Query error", 190)
        return int(text) if maximum is None else min(int(text), maximum)


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response. ``manner`` is the way to send it: "drip" or a key of MANNERS."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    manner: str = "whole"

    def head(self) -> bytes:
        lines = [
            f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}",
            f"Content-Length: {len(self.body)}",
            f"Content-Type: {self.content_type}",
            *(f"{name}: {value}" for name, value in self.headers.items()),
        ]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


class Refusal(Exception):
    """Exception that ends the handling of a request. The client gets `response`."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


def json_response(payload: Any, status: int = 200) -> Response:
    """Return a JSON response in ASCII. Characters outside ASCII are written as escapes."""
    return Response(status, json.dumps(payload).encode("ascii"))


def compressed(response: Response, profiles: Profiles) -> Response:
    """Compress the response if the profile "gzip" or "deflate" is active."""
    for coding, compress in (("gzip", gzip.compress), ("deflate", zlib.compress)):
        if coding in profiles:
            headers = response.headers | {"Content-Encoding": coding}
            return replace(response, body=compress(response.body), headers=headers)
    return response


def gateway_error(status: int, code: int, message: str) -> Refusal:
    """Return a Refusal in the error format of the SMS service: ``{code, message}``."""
    return Refusal(json_response({"code": code, "message": message}, status))


def platform_error(status: int, message: str, error: float | None = None) -> Refusal:
    """Return a Refusal in Openapi's general error format: ``{success, message, error, data}``."""
    envelope = {"success": False, "message": message, "error": error, "data": None}
    return Refusal(json_response(envelope, status))


def is_loopback(host: str) -> bool:
    """Return True if the host is a loopback IP address. Host names are not looked up."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


# Ways to write an answer. Each function returns True if the connection can be used again.

_INTERIM = (
    b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
    b"HTTP/1.1 102 Processing\r\n\r\n"
)
_PROXY_REFUSES = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n"
_PAUSE_SECONDS = 0.05
_NO_LINGER = struct.pack("ii", 1, 0)


def write(
    connection: socket.socket, response: Response, stopping: threading.Event, drip: float
) -> bool:
    """Write the response in its `manner`. Return True if the connection can be used again."""
    if response.manner == "drip":
        return _drip(connection, response, stopping, drip)
    return MANNERS[response.manner](connection, response, stopping)


def _whole(connection: socket.socket, response: Response, stopping: threading.Event) -> bool:
    connection.sendall(response.head() + response.body)
    return True


def _interim(connection: socket.socket, response: Response, stopping: threading.Event) -> bool:
    """Send two interim (1xx) responses, wait, and send the final response.

    A faulty client treats an interim response as the final response.
    """
    connection.sendall(_INTERIM)
    stopping.wait(_PAUSE_SECONDS)
    return _whole(connection, response, stopping)


def _doubled(connection: socket.socket, response: Response, stopping: threading.Event) -> bool:
    connection.sendall(_PROXY_REFUSES + response.head() + response.body)
    return True


def _hang(connection: socket.socket, response: Response, stopping: threading.Event) -> bool:
    """Send no response, and wait until the client closes the connection."""
    while not stopping.is_set():
        readable, _, _ = select.select([connection], [], [], 0.1)
        if readable and not connection.recv(65536):
            break
    return False


def _reset(connection: socket.socket, *_: Any) -> bool:
    """Reset the TCP connection (RST). Detach the socket, so that the server sends no FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    os.close(connection.detach())
    return False


def _cut_short(connection: socket.socket, response: Response, stopping: threading.Event) -> bool:
    connection.sendall(response.head() + response.body[: len(response.body) // 2])
    return False


def _broken_tls(connection: socket.socket, response: Response, stopping: threading.Event) -> bool:
    """Send half of the response, and then unencrypted bytes. These bytes break a TLS connection."""
    whole = response.head() + response.body
    connection.sendall(whole[: len(whole) // 2])
    os.write(connection.fileno(), b"this is no record of TLS")
    return False


def _drip(
    connection: socket.socket, response: Response, stopping: threading.Event, drip: float
) -> bool:
    connection.sendall(response.head())
    for byte in response.body:
        if stopping.wait(drip):
            return False
        connection.sendall(bytes([byte]))
    return True


MANNERS: dict[str, Callable[[socket.socket, Response, threading.Event], bool]] = {
    "whole": _whole,
    "interim": _interim,
    "doubled": _doubled,
    "hang": _hang,
    "reset": _reset,
    "cut-short": _cut_short,
    "broken-tls": _broken_tls,
}


# Faults of a connection, before the server has read a request.

CONNECTION_FAULTS = ("handshake", "reset")
"""The faults of a connection that a test can set.

"handshake": the TLS handshake fails. "reset": the client sends a request, and the server resets the
connection without reading the request.
"""

NextFault = Callable[[], str]  # returns the fault of the next connection, or ""


def server_context(certificate: str, next_fault: NextFault) -> ssl.SSLContext:
    """Return the TLS context of the server.

    If a test has set the fault "handshake", the next handshake with a host name (SNI) fails. A
    connection to an IP address never fails, so tests can still control the simulator.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def greet(connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> int | None:
        return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR if name and next_fault() else None

    context.sni_callback = greet
    return context


def reset_unread(connection: socket.socket, next_fault: NextFault) -> bool:
    """If a test has set the fault "reset", peek at the request, and reset the connection.

    Return True after a reset. A TLS connection or a request to /_simulator/ is never reset.
    """
    if isinstance(connection, ssl.SSLSocket):  # TLS cannot peek at a request
        return False
    first = connection.recv(256, socket.MSG_PEEK)
    if not first or b"/_simulator/" in first.partition(b"\r\n")[0] or not next_fault():
        return False
    _reset(connection)
    return True
