"""Send one HTTP request, and return the complete response or raise an error.

A request is never sent twice: there are no retries, and redirects are not followed. A host must
send nothing before our request, and one response after it. If the host sends more bytes, we close
the connection, so that the next request cannot read these bytes as its response. We also close a
connection that was idle for a long time, because the host may be about to close it.

The class of an exception does not show whether the request was sent. For example, TLS errors in the
handshake and after the request have the same class. So the connection sets `Exchange.written` when
it writes the first byte of the request. Name resolution, connecting, a proxy's CONNECT and the TLS
handshake come before this byte.
"""

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
_POOL_SIZE = 128  # with more threads than that, further connections are opened but not kept
_IDLE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class RawRequest:
    """A request and its limits. The repr shows neither headers nor body."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)
    timeouts: tuple[float, float] = (5.0, 30.0)  # to connect, and for the whole exchange
    max_size: int = 1 << 20


@dataclass(frozen=True, slots=True)
class RawResponse:
    """A complete response.

    If `is_sole` is False, more bytes followed this response, so it may belong to another request.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    is_sole: bool = True


class ExchangeError(Exception):
    """No complete response came.

    Error reporters print the text and the cause of an error, so neither contains the request.
    """

    def __init__(self, reason: str, *, written: bool) -> None:
        super().__init__(reason)
        self.written = written  # whether a byte of the request may have been sent


class _TooLargeError(Exception):
    """The response is larger than the request's limit."""


def exchange(request: RawRequest) -> RawResponse:
    """Send a request once, and return the response, even if its status is an error.

    Raise ExchangeError if no complete response comes. The error's attribute `written` says whether
    the request may have arrived.

    The exchange may take longer than its time-outs, for two reasons: name resolution cannot be
    interrupted, and the time-out to connect applies to each address of the host.
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
    # Errors of any class: it only matters whether a byte of the request was sent before.
    except Exception as exc:
        # A transport that a test puts in does not write on our connections.
        is_replaced = isinstance(exc, ReadTimeout) and not ours.began
        failure = ExchangeError(_name(exc), written=ours.written or is_replaced)
    finally:
        current_exchange.reset(mark)
    raise failure  # not in the handler: an error's context would hold the request


def close_connections() -> None:
    """Close the connections that this process keeps open, for example at the end of a test."""
    while _sessions:
        (pid, _), session = _sessions.popitem()
        if pid == os.getpid():
            session.close()


def _prepare(request: RawRequest) -> PreparedRequest:
    """Build the request. Skip the checks of `PreparedRequest.prepare()`: all parts are valid."""
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
        response.raw.close()  # the next request must not read the rest of this response
        raise
    is_sole = not ours.has_strays  # known once the body was read
    content = decoded(bytes(body), response.headers.get("Content-Encoding", ""), limit)
    return RawResponse(response.status_code, response.headers, content, is_sole)


def _name(exc: BaseException) -> str:
    """Return only the name of the innermost error's class.

    The text of an error may contain addresses, and its attributes may contain the request.
    """
    reason = getattr(exc, "reason", None) or next(
        (arg for arg in exc.args if isinstance(arg, BaseException)), None
    )
    return _name(reason) if isinstance(reason, BaseException) else type(exc).__name__.strip("_")


class _Connection(HTTPConnection):
    """A connection that sets `Exchange.written` when it begins to write a request."""

    response_class = StrictResponse
    _opening = False
    _last_used = 0.0
    _unsent: list[bytes] | None = None
    _is_whole = False

    @property
    def is_connected(self) -> bool:
        """Whether the connection is open, and was not idle for too long."""
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
        if current_exchange.get().has_strays:  # the proxy sent more than its response
            raise UnprovenAnswerError
        self.sock.settimeout(self.timeout)  # `_has_strays` set it to 0

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Write headers and body together, in one packet instead of two."""
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
        # If the connection breaks while it writes, urllib3 still reads the bytes that came before.
        if not self._is_whole:
            raise UnprovenAnswerError
        return super().getresponse()

    def send(self, data: Any) -> None:
        if self._unsent is None or self._opening:
            self._write(data)
        else:
            self._unsent.append(data)

    def _prove_silence(self) -> None:
        """Make sure that the host has sent no bytes before our request.

        If bytes came on a reused connection, open a new connection. If bytes came on a new
        connection, raise UnprovenAnswerError.
        """
        if self._last_used and self.sock is not None and wait_for_read(self.sock, timeout=0.0):
            self.sock.close()  # not self.close(), which forgets the tunnel through a proxy
            self.sock = None
        if self.sock is None:
            self.connect()
        if not self._last_used and _has_come(self.sock):
            raise UnprovenAnswerError

    def _write(self, data: bytes) -> None:
        ours = current_exchange.get()
        for start in range(0, len(data), _PIECE):
            # These bytes may answer this request or an earlier one: nobody can tell.
            if start and _has_come(self.sock):
                raise UnprovenAnswerError
            self.sock.settimeout(ours.remaining())
            ours.written = ours.written or not self._opening
            super().send(data[start : start + _PIECE])
        self._last_used = 0.0 if self._opening else elapsed()


def _has_come(sock: Any) -> bool:
    """Whether the host has sent any bytes. TLS session tickets do not count."""
    sock.settimeout(0)
    try:
        return bool(sock.recv(1))
    except OSError:
        return False


class _TLSConnection(_Connection, HTTPSConnection):
    """A `_Connection` over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection

    def _put_conn(self, conn: Any) -> None:
        if conn is not None and current_exchange.get().has_strays:
            conn.close()
        super()._put_conn(conn)


class _TLSPool(_Pool, HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


class _Session(Session):
    """The `requests` session of this process for one host. Threads share the session.

    The session uses the public API of `requests`, so that tracers and mocks of `requests` work. It
    follows no redirects and keeps no cookies. It reads environment variables only once, and only
    for proxies and the CA bundle. It does not read `.netrc`, because a password in this file would
    replace the token.
    """

    def __init__(self, url: str) -> None:
        super().__init__()
        self.trust_env = False
        self.proxies = proxies_for(url)
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.mount(url, _Adapter())

    def get_redirect_target(self, resp: Response) -> None:
        """Return None, so that no redirect is followed.

        Without this method, `requests` would read the whole body to find the next request.
        """


class _Adapter(HTTPAdapter):
    """The connection pools of one session. They share one TLS context, and never retry."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._context: ssl.SSLContext | None = None
        self._pool: Any = None
        super().__init__(pool_maxsize=_POOL_SIZE, max_retries=Retry(0, read=False, redirect=0))

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _use_our_pools(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        if is_socks(proxy):  # it would not use our class of connections
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
        """Do nothing: the shared TLS context verifies the host.

        Without this method, `requests` would load the CA file again.
        """

    def _shared_context(self) -> ssl.SSLContext:
        with self._lock:
            if self._context is None:
                self._context = create_context()
            return self._context


def _use_our_pools(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}


_sessions: dict[tuple[int, str], _Session] = {}


def _session_for(url: str) -> _Session:
    """Return the session of this process for the host of the URL.

    A forked child process makes its own session, and does not use the session of its parent.
    """
    parts = urlsplit(url)
    key = (os.getpid(), f"{parts.scheme}://{parts.netloc}")
    # Two threads may both build a session: that is cheap, and only one is kept.
    return _sessions.get(key) or _sessions.setdefault(key, _Session(key[1]))


# Some forks do not run these hooks. For them the key holds the process id.
os.register_at_fork(after_in_child=_sessions.clear)
