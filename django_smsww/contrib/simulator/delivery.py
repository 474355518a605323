"""How the bytes of an answer leave the socket: whole, slowly, in part, or not at all."""

from __future__ import annotations

import os
import select
import socket
import struct
import threading
from collections.abc import Callable
from http import HTTPStatus

from .http import Response

INTERIM = (
    b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
    b"HTTP/1.1 102 Processing\r\n\r\n"
)
PROXY_REFUSES = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n"
_PAUSE = 0.05
NO_LINGER = struct.pack("ii", 1, 0)


def deliver(
    connection: socket.socket, response: Response, stopping: threading.Event, drip: float
) -> bool:
    """Send the answer in its manner. Return whether the connection can be used again."""
    if response.manner == "drip":
        return _drip(connection, response, stopping, drip)
    return MANNERS[response.manner](connection, response, stopping)


def _whole(connection: socket.socket, response: Response, stopping: threading.Event) -> bool:
    connection.sendall(_head(response) + response.body)
    return True


def _interim(connection: socket.socket, response: Response, stopping: threading.Event) -> bool:
    """Hint at the answer first: a client that takes a hint for it asks the next thing meanwhile."""
    connection.sendall(INTERIM)
    stopping.wait(_PAUSE)
    return _whole(connection, response, stopping)


def _doubled(connection: socket.socket, response: Response, stopping: threading.Event) -> bool:
    connection.sendall(PROXY_REFUSES + _head(response) + response.body)
    return True


def _hang(connection: socket.socket, response: Response, stopping: threading.Event) -> bool:
    """Wait until the caller gives up; whatever else it sends is ignored."""
    while not stopping.is_set():
        readable, _, _ = select.select([connection], [], [], 0.1)
        if readable and not connection.recv(65536):
            break
    return False


def _reset(connection: socket.socket, response: Response, stopping: threading.Event) -> bool:
    """Close with RST. Detached, because a shutdown by the server would send FIN before it."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
    os.close(connection.detach())
    return False


def _cut_short(connection: socket.socket, response: Response, stopping: threading.Event) -> bool:
    connection.sendall(_head(response) + response.body[: len(response.body) // 2])
    return False


def _broken_tls(connection: socket.socket, response: Response, stopping: threading.Event) -> bool:
    """Go on in clear in the middle of the answer; without TLS it ends in rubbish."""
    whole = _head(response) + response.body
    connection.sendall(whole[: len(whole) // 2])
    os.write(connection.fileno(), b"this is no record of TLS")
    return False


def _drip(
    connection: socket.socket, response: Response, stopping: threading.Event, drip: float
) -> bool:
    connection.sendall(_head(response))
    for byte in response.body:
        if stopping.wait(drip):
            return False
        connection.sendall(bytes([byte]))
    return True


Manner = Callable[[socket.socket, Response, threading.Event], bool]
MANNERS: dict[str, Manner] = {
    "whole": _whole,
    "interim": _interim,
    "doubled": _doubled,
    "hang": _hang,
    "reset": _reset,
    "cut-short": _cut_short,
    "broken-tls": _broken_tls,
}


def _head(response: Response) -> bytes:
    lines = [
        f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}",
        f"Content-Length: {len(response.body)}",
        f"Content-Type: {response.content_type}",
        *(f"{name}: {value}" for name, value in response.headers.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")
