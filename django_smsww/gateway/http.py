"""One HTTP exchange: a request that is sent once, and its whole response or none.

Nothing is ever sent again: no retry, and no redirect is followed. The host says nothing on a
connection until we write a request, and then one response. If it says more, we close the
connection, since the rest must not answer the next request. We also close it when it has idled for
so long that the host may close it.

The class of an exception does not say when the error happened: a TLS error after the request was
written has the class of one in the handshake. So the connection itself notes its first byte. Name
resolution, connecting, a proxy's CONNECT and the TLS handshake all come before.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from requests import PreparedRequest, ReadTimeout, Response, Session
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import Retry, wait_for_read

from ..clock import elapsed
from .decoding import decoded
from .framing import Exchange, StrictResponse, UnprovenAnswerError, current_exchange
from .network import create_context, is_socks, proxies_for

_PIECE = 16384
_POOL_SIZE = 128  # more than that many threads at once open connections that are not kept
_IDLE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class RawRequest:
    """A request and its limits. Its repr shows nothing personal."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)
    timeouts: tuple[float, float] = (5.0, 30.0)  # to connect, and for the whole exchange
    max_size: int = 1 << 20


@dataclass(frozen=True, slots=True)
class RawResponse:
    """A whole response.

    Attributes:
        is_sole: False if more bytes than one response arrived. Then the response may belong to
            another request.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    is_sole: bool = True


class ExchangeError(Exception):
    """No whole response came in time.

    Neither its text nor its cause holds the request, which error reporters would print.

    Attributes:
        written: whether a byte of the request may have left.
    """

    def __init__(self, reason: str, *, written: bool) -> None:
        super().__init__(reason)
        self.written = written


class _TooLargeError(Exception):
    """The response is larger than the request's limit."""


def exchange(request: RawRequest) -> RawResponse:
    """Send a request once and return the response, of any status.

    The time-out covers all but name resolution, which no thread can cut short, and the second and
    later addresses of a host on which connecting times out.

    Raises:
        ExchangeError: its `written` says whether the request may have arrived.
    """
    connect_timeout, timeout = request.timeouts
    ours = Exchange(ends=elapsed() + timeout)
    mark = current_exchange.set(ours)
    try:
        session = _session_for(request.url)
        response = session.send(
            _prepare(request),
            stream=True,
            timeout=(min(connect_timeout, timeout), timeout),
            proxies=session.proxies,
            allow_redirects=False,
        )
        return _read(response, request.max_size, ours)
    # All that counts is whether a byte had left before it broke.
    except Exception as exc:
        # A transport that a test has put in never writes on one of our connections.
        is_replaced = isinstance(exc, ReadTimeout) and not ours.began
        failure = ExchangeError(_name(exc), written=ours.written or is_replaced)
    finally:
        current_exchange.reset(mark)
    raise failure  # out here it has no context, and so no request


def close_connections() -> None:
    """Close the connections that this process keeps open, for the end of a worker or a test."""
    while _sessions:
        (pid, _), session = _sessions.popitem()
        if pid == os.getpid():
            session.close()


def _prepare(request: RawRequest) -> PreparedRequest:
    """Prepare the request without the work of `prepare()`, since all parts are known to be right.

    It asks for no compression (the default of http.client).
    """
    prepared = PreparedRequest()
    prepared.method, prepared.url, prepared.body = request.method, request.url, request.body
    prepared.headers = CaseInsensitiveDict(request.headers)
    if request.body is not None:
        prepared.headers["Content-Length"] = str(len(request.body))
    return prepared


def _read(response: Response, limit: int, ours: Exchange) -> RawResponse:
    body = bytearray()
    try:
        while piece := response.raw.read(_PIECE, decode_content=False):
            body += piece
            if len(body) > limit:
                raise _TooLargeError
    except BaseException:
        response.raw.close()  # the rest of the response must not meet the next request
        raise
    is_sole = not ours.has_strays  # known once the body was read
    content = decoded(bytes(body), response.headers.get("Content-Encoding", ""), limit)
    return RawResponse(response.status_code, response.headers, content, is_sole)


def _name(exc: BaseException) -> str:
    """Name the innermost class; the texts hold addresses, and the objects hold the request."""
    reason = getattr(exc, "reason", None) or next(
        (arg for arg in exc.args if isinstance(arg, BaseException)), None
    )
    return _name(reason) if isinstance(reason, BaseException) else type(exc).__name__.strip("_")


class _Connection(HTTPConnection):
    """Notes on the exchange when the first byte of its request is written."""

    response_class = StrictResponse
    _opening = False
    _last_used = 0.0
    _unsent: list[bytes] | None = None
    _is_whole = False

    @property
    def is_connected(self) -> bool:
        """Whether it may be used again; `_prove_silence` has the last word."""
        return self.sock is not None and elapsed() - self._last_used < _IDLE_SECONDS

    def connect(self) -> None:
        current_exchange.get().began = True
        self._opening, self._last_used = True, 0.0  # bytes sent meanwhile are for a proxy
        try:
            left = current_exchange.get().remaining()
            self.timeout = min(self.timeout or left, left)
            super().connect()
        finally:
            self._opening = False

    def _tunnel(self) -> None:
        super()._tunnel()
        if current_exchange.get().has_strays:  # the proxy said more than its response
            raise UnprovenAnswerError
        self.sock.settimeout(self.timeout)  # `_has_strays` set it to 0

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Write headers and body together: one packet, and half of the system calls."""
        current_exchange.get().began = True
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
        """Read the response to a request that was written whole."""
        # urllib3 ignores that a connection breaks while it writes, and reads the earlier bytes.
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
        ours = current_exchange.get()
        for start in range(0, len(data), _PIECE):
            # It may be the response to this request, or a late one to another: nobody can tell.
            if start and _has_come(self.sock):
                raise UnprovenAnswerError
            self.sock.settimeout(ours.remaining())
            ours.written = ours.written or not self._opening
            super().send(data[start : start + _PIECE])
        self._last_used = 0.0 if self._opening else elapsed()


def _has_come(sock: Any) -> bool:
    """Tell whether the other side has said anything; session tickets of TLS do not count."""
    sock.settimeout(0)
    try:
        return bool(sock.recv(1))
    except OSError:
        return False


class _TLSConnection(_Connection, HTTPSConnection):
    """The same over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection

    def _put_conn(self, conn: Any) -> None:
        if conn is not None and current_exchange.get().has_strays:
            conn.close()
        super()._put_conn(conn)


class _TLSPool(_Pool, HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


class _Session(Session):
    """The session of this process with one host, for any number of threads.

    It goes through the public door of `requests`, where tracers and mocks stand. But it follows no
    redirect and keeps no cookie. A `.netrc` would replace the token by its own password. So from
    the environment the session takes only proxies and the CA bundle, once.
    """

    def __init__(self, url: str) -> None:
        super().__init__()
        self.trust_env = False
        self.proxies = proxies_for(url)
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.mount(url, _Adapter())

    def get_redirect_target(self, resp: Response) -> None:
        """Return None, or `Session` would read the whole body to find the next request."""


class _Adapter(HTTPAdapter):
    """The pooled connections of one session. They share one TLS context, and never retry."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._context: ssl.SSLContext | None = None
        self._pool: Any = None
        super().__init__(pool_maxsize=_POOL_SIZE, max_retries=Retry(0, read=False, redirect=0))

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _use_our_pools(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        if is_socks(proxy):  # its connections are not ours
            raise ValueError("SOCKS proxies are not supported")
        manager = super().proxy_manager_for(proxy, **kwargs)
        _use_our_pools(manager)
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
        """Do nothing: the shared context verifies, and requests would load the CA file again."""

    def _shared_context(self) -> ssl.SSLContext:
        with self._lock:
            if self._context is None:
                self._context = create_context()
            return self._context


def _use_our_pools(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}


_sessions: dict[tuple[int, str], _Session] = {}


def _session_for(url: str) -> _Session:
    """Return this process's session with the host of a URL; a forked child makes its own."""
    parts = urlsplit(url)
    key = (os.getpid(), f"{parts.scheme}://{parts.netloc}")
    # Two threads may build one at once: it is cheap, and only one of them is kept.
    return _sessions.get(key) or _sessions.setdefault(key, _Session(key[1]))


# Some forks do not run these hooks. For them the key holds the process id.
os.register_at_fork(after_in_child=_sessions.clear)
