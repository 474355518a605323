"""One HTTP exchange: a request that is sent once, and its whole answer or none.

Nothing is ever sent again: no retry, no redirect followed, no connection used that has idled for
so long that the other side may be closing it, or on which more was said than one answer to each
request.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from requests import PreparedRequest, Response
from requests.structures import CaseInsensitiveDict
from requests.utils import get_environ_proxies

from ..clock import elapsed
from .connections import PIECE, Adapter, Attempt, attempt_under_way


@dataclass(frozen=True, slots=True)
class Exchange:
    """What is asked, and within which bounds. Its repr shows nothing personal."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)
    connect_timeout: float = 5.0
    timeout: float = 30.0
    max_size: int = 1 << 20


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer.

    Attributes:
        is_sole: False if more came along with it. Then it may belong to another request.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    is_sole: bool = True


class ExchangeError(Exception):
    """No whole answer came in time.

    Neither the text nor a cause holds the request: the exceptions of the HTTP libraries carry
    it along, and error reporters print what they find there.

    Attributes:
        written: whether a byte of the request may have left.
    """

    def __init__(self, reason: str, *, written: bool) -> None:
        super().__init__(reason)
        self.written = written


class _TooLargeError(Exception):
    """The answer is larger than any that makes sense."""


class Transport:
    """The pooled connections of this process to one host. It may be used by many threads.

    Proxies and the CA bundle are taken from the environment, once. A `.netrc` is not: it would
    put its own password in place of the token.
    """

    def __init__(self, url: str) -> None:
        self._proxies = get_environ_proxies(url)
        self._adapter = Adapter()

    def exchange(self, asked: Exchange) -> Answer:
        """Send a request once and return the answer, whatever its status.

        The time-out covers all but name resolution, which no thread can cut short, and the
        second and later addresses of a host on which connecting times out.

        Raises:
            ExchangeError: it says whether the request can have arrived.
        """
        attempt = Attempt(ends=elapsed() + asked.timeout)
        mark = attempt_under_way.set(attempt)
        try:
            return self._answer(asked, attempt)
        # Whatever broke, what counts is only whether a byte had left by then.
        except Exception as exc:
            failure = ExchangeError(_name(exc), written=attempt.written)
        finally:
            attempt_under_way.reset(mark)
        raise failure  # out here it has no context, and so no request

    def _answer(self, asked: Exchange, attempt: Attempt) -> Answer:
        timeouts = (min(asked.connect_timeout, asked.timeout), asked.timeout)
        response = self._adapter.send(
            _prepare(asked), stream=True, timeout=timeouts, proxies=self._proxies
        )
        try:
            body = _read(response, asked.max_size)
            is_sole = not attempt.has_strays  # known once the body was read
            return Answer(response.status_code, response.headers, body, is_sole)
        except BaseException:
            response.raw.close()  # what is left of the answer must not meet the next request
            raise

    def close(self) -> None:
        """Close the connections that nobody is using."""
        self._adapter.close()


def _prepare(asked: Exchange) -> PreparedRequest:
    """Prepare the request without the work of `prepare()`, since all parts are known to be right.

    No compression is asked for (that is the default below), so that a size is what it seems.
    """
    request = PreparedRequest()
    request.method, request.url, request.body = asked.method, asked.url, asked.body
    request.headers = CaseInsensitiveDict(asked.headers)
    if asked.body is not None:
        request.headers["Content-Length"] = str(len(asked.body))
    return request


def _read(response: Response, limit: int) -> bytes:
    body = bytearray()
    while piece := response.raw.read(PIECE, decode_content=False):
        body += piece
        if len(body) > limit:
            raise _TooLargeError
    return bytes(body)


def _name(exc: BaseException) -> str:
    """Name the innermost class; the texts hold addresses, and the objects hold the request."""
    reason = getattr(exc, "reason", None) or next(
        (arg for arg in exc.args if isinstance(arg, BaseException)), None
    )
    return _name(reason) if isinstance(reason, BaseException) else type(exc).__name__.strip("_")


_transports: dict[tuple[int, str], Transport] = {}


def transport_for(url: str) -> Transport:
    """Return this process's transport for a host; a forked child begins with its own."""
    key = (os.getpid(), url)
    # Two threads may build one at once: it is cheap, and only one of them is kept.
    return _transports.get(key) or _transports.setdefault(key, Transport(url))


def close_connections() -> None:
    """Close what this process keeps open to any host, for a clean end of a worker or a test."""
    while _transports:
        (pid, _), transport = _transports.popitem()
        if pid == os.getpid():
            transport.close()


# Besides the process id in the key: forks that do not run these hooks are only told by that.
os.register_at_fork(after_in_child=_transports.clear)
