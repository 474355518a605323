"""Connections that notice when the first byte of a request leaves, and when its time is up.

A connection is silent until a request is written on it, and then says one answer. One that says
more is closed: the rest of it must not answer the next request.

What an exception is called does not say when it happened: a TLS error after the request was
written has the class of one in the handshake. So it is observed here, where it happens: name
resolution, connecting, a proxy's CONNECT and the TLS handshake all come before.
"""

from __future__ import annotations

import os
import ssl
from contextvars import ContextVar
from dataclasses import dataclass
from http.client import HTTPResponse
from io import BufferedReader, RawIOBase
from threading import Lock
from typing import Any

from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import Retry, wait_for_read

from ..clock import elapsed
from .framing import UnprovenAnswerError, check_framing, read_chunk_size, read_status

PIECE = 16384
_POOL_SIZE = 128  # more than that many threads at once open connections that are not kept
_IDLE_SECONDS = 30  # the other side may be closing one that has idled for longer


@dataclass(slots=True)
class Attempt:
    """One exchange, as its connection sees it.

    Attributes:
        ends: the time of `stopwatch.elapsed()` by which it must be over.
        written: whether a byte of the request may have left.
        has_strays: whether more bytes than those of the answer have come.
    """

    ends: float
    written: bool = False
    has_strays: bool = False

    def remaining(self) -> float:
        """Return the seconds left; raises TimeoutError when there are none."""
        left = self.ends - elapsed()
        if left <= 0:
            raise TimeoutError
        return left


attempt_under_way: ContextVar[Attempt] = ContextVar("attempt")


class _UntilDeadline(RawIOBase):
    """Reads a socket with what is left of the attempt's time, so that a drip does not renew it.

    Attributes:
        waits: False to read only what has come by now.
    """

    waits = True

    def __init__(self, sock: Any, raw: RawIOBase) -> None:
        self._sock, self._raw, self.attempt = sock, raw, attempt_under_way.get()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self.attempt.remaining() if self.waits else 0)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(HTTPResponse):
    """Reads one answer from where it certainly begins to where it certainly ends."""

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._raw = _UntilDeadline(sock, self.fp.detach())
        self.fp = BufferedReader(self._raw)

    def begin(self) -> None:
        super().begin()
        check_framing(self.version, self.status, self.headers)

    def _read_status(self) -> tuple[str, int, str]:
        return read_status(self.fp)

    def _read_next_chunk_size(self) -> int:
        return read_chunk_size(self.fp)

    def _close_conn(self) -> None:
        """Note what has come after the answer, before the connection may be used again."""
        self._raw.attempt.has_strays |= self._has_strays()
        super()._close_conn()  # type: ignore[misc]

    def _has_strays(self) -> bool:
        """Look into our buffer, the buffer of TLS and the socket, without waiting."""
        self._raw.waits = False
        try:
            return bool(self.fp.peek())
        except OSError:  # TLS has nothing to read, or the socket is broken
            return False


class _Observed(HTTPConnection):
    """Notes on the attempt when the first byte of its request is written."""

    response_class = _Response
    _opening = False
    _last_used = 0.0
    _unsent: list[bytes] | None = None
    _is_whole = False

    @property
    def is_connected(self) -> bool:
        """Whether it may be used again, if `_prove_silence` agrees then."""
        return self.sock is not None and elapsed() - self._last_used < _IDLE_SECONDS

    def connect(self) -> None:
        self._opening, self._last_used = True, 0.0  # what is sent meanwhile is for a proxy
        try:
            left = attempt_under_way.get().remaining()
            self.timeout = min(self.timeout or left, left)
            super().connect()
        finally:
            self._opening = False

    def _tunnel(self) -> None:
        super()._tunnel()
        if attempt_under_way.get().has_strays:  # the proxy said more than its answer
            raise UnprovenAnswerError
        self.sock.settimeout(self.timeout)  # looking for strays does not wait, a handshake does

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Write headers and body together: one packet, and half of the system calls."""
        self._unsent, self._is_whole = [], False
        try:
            super().request(*args, **kwargs)
            whole = b"".join(self._unsent)
        finally:
            self._unsent = None
        self._prove_silence()
        self._write(whole)
        self._is_whole = True

    def getresponse(self) -> Any:
        """Read the answer to a request that was written whole.

        urllib3 passes over connections that break while it writes, and reads what came before.
        """
        if not self._is_whole:
            raise UnprovenAnswerError
        return super().getresponse()

    def send(self, data: Any) -> None:
        if self._unsent is None or self._opening:
            self._write(data)
        else:
            self._unsent.append(data)

    def _prove_silence(self) -> None:
        """Replace a kept connection that is not silent; refuse a new one that is not."""
        if self._last_used and self.sock is not None and wait_for_read(self.sock, timeout=0.0):
            self.sock.close()  # not our own close(), which forgets the way through a proxy
            self.sock = None
        if self.sock is None:
            self.connect()
        if not self._last_used and _has_come(self.sock):
            raise UnprovenAnswerError

    def _write(self, data: bytes) -> None:
        attempt = attempt_under_way.get()
        for start in range(0, len(data), PIECE):
            # It may be the answer to this request, or a late one to another: nobody can tell.
            if start and _has_come(self.sock):
                raise UnprovenAnswerError
            self.sock.settimeout(attempt.remaining())
            attempt.written = attempt.written or not self._opening
            super().send(data[start : start + PIECE])
        self._last_used = 0.0 if self._opening else elapsed()


def _has_come(sock: Any) -> bool:
    """Tell whether the other side has said anything; session tickets of TLS do not count."""
    sock.settimeout(0)
    try:
        return bool(sock.recv(1))
    except OSError:
        return False


class _ObservedTLS(_Observed, HTTPSConnection):
    """The same over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Observed

    def _put_conn(self, conn: Any) -> None:
        if conn is not None and attempt_under_way.get().has_strays:
            conn.close()
        super()._put_conn(conn)


class _TLSPool(_Pool, HTTPSConnectionPool):
    ConnectionCls = _ObservedTLS


class Adapter(HTTPAdapter):
    """Observed connections to one host, with one TLS context for all of them, and no retries."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._context: ssl.SSLContext | None = None
        self._pool: Any = None
        super().__init__(pool_maxsize=_POOL_SIZE, max_retries=Retry(0, read=False, redirect=0))

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _observe(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        if proxy.lower().startswith("socks"):  # its connections cannot be observed
            raise ValueError("SOCKS proxies are not supported")
        manager = super().proxy_manager_for(proxy, **kwargs)
        _observe(manager)
        return manager

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        if self._pool is None:
            self._pool = super().get_connection_with_tls_context(*args, **kwargs)
        return self._pool

    def build_connection_pool_key_attributes(
        self, request: PreparedRequest, verify: Any, cert: Any = None
    ) -> Any:
        host, _ = super().build_connection_pool_key_attributes(request, True, None)
        if host["scheme"] != "https":
            return host, {}
        return host, {"ssl_context": self._shared_context()}

    def cert_verify(self, *args: Any, **kwargs: Any) -> None:
        """Leave the connection to the context, which verifies; a path would be loaded again."""

    def _shared_context(self) -> ssl.SSLContext:
        with self._lock:
            if self._context is None:
                self._context = _create_context()
            return self._context


def _observe(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}


def _create_context() -> ssl.SSLContext:
    """Return a verifying context that trusts what the environment names, else that of requests."""
    names = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
    path = next(filter(None, map(os.environ.get, names)), None) or DEFAULT_CA_BUNDLE_PATH
    if os.path.isdir(path):
        return ssl.create_default_context(capath=path)
    return ssl.create_default_context(cafile=path)
