"""What goes wrong with a connection before a request on it was read."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable

from .delivery import NO_LINGER

FAULTS = ("handshake", "reset")
"""handshake: it fails, which needs TLS; reset: the request arrives and is not read."""

_CONTROL = b"/_simulator/"

Take = Callable[[], str]
"""Returns the fault of the next connection, or ""."""


def server_context(certificate: str, take: Take) -> ssl.SSLContext:
    """Return the context of a server whose handshakes fail when a fault is taken.

    Only who asks for a name is failed: those who steer the simulator ask for an address.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def greet(connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> int | None:
        return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR if name and take() else None

    context.sni_callback = greet
    return context


def reset_unread(connection: socket.socket, take: Take) -> bool:
    """Close with RST while the request waits to be read, if that is the fault to come."""
    if isinstance(connection, ssl.SSLSocket):  # nobody can look at a request without reading it
        return False
    first = connection.recv(256, socket.MSG_PEEK)
    if not first or _CONTROL in first.partition(b"\r\n")[0] or not take():
        return False
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
    os.close(connection.detach())
    return True
