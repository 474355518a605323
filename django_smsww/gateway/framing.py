"""Find where a response begins and ends (RFC 9112), more strictly than `http.client` does.

If we began to read in a wrong place, we would read the response to another message. So any doubt
about the beginning or the end is an error. The outcome of the request is then unknown.
"""

import re
from contextvars import ContextVar
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException, HTTPResponse, RemoteDisconnected
from io import BufferedReader, RawIOBase
from typing import Any

from ..clock import elapsed

_LONGEST_LINE = 65536
_LONGEST_INTERIM = 16384
_MOST_INTERIM = 1000
_STATUS_LINE = re.compile(rb"(HTTP/1\.[01])[ \t]+([1-9]\d\d)(?:[ \t]+([^\r\n]*))?\r?\n")
_SWITCHING_PROTOCOLS = 101
# An interim response has no body. If it announces a body, nobody knows where that ends.
_INTERIM_HEADER = re.compile(
    rb"(?!content-length:|transfer-encoding:)[^:\s]+:[^\r\n]*\r?\n", re.IGNORECASE
)
_LENGTH = re.compile(r"[0-9]{1,18}")
_CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")


class UnprovenAnswerError(HTTPException):
    """The response may be incomplete, or may belong to another request."""


@dataclass(slots=True)
class Exchange:
    """The state of one request and its response. The connection updates this state."""

    ends: float  # the deadline, by `clock.elapsed()`
    began: bool = False  # on one of our connections
    written: bool = False  # a byte of the request may have been sent
    has_strays: bool = False  # bytes came that are not part of the response

    def remaining(self) -> float:
        """Return the seconds until the deadline. Raise TimeoutError if the deadline has passed."""
        left = self.ends - elapsed()
        if left <= 0:
            raise TimeoutError
        return left


current_exchange: ContextVar[Exchange] = ContextVar("exchange")


class _DeadlineReader(RawIOBase):
    """A socket reader that raises TimeoutError when the deadline of the whole response passes."""

    waits = True  # False to read only the bytes that have come already

    def __init__(self, sock: Any, raw: RawIOBase) -> None:
        self._sock, self._raw, self.exchange = sock, raw, current_exchange.get()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self.exchange.remaining() if self.waits else 0)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class StrictResponse(HTTPResponse):
    """A response that raises an error if its beginning or its end is doubtful."""

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._raw = _DeadlineReader(sock, self.fp.detach())
        self.fp = BufferedReader(self._raw)

    def begin(self) -> None:
        super().begin()
        _check_framing(self.version, self.status, self.headers)

    def _read_status(self) -> tuple[str, int, str]:
        """Skip interim responses, and return version, status and reason of the final response.

        Proxies may send the interim responses 102 and 103 (Early Hints), although we do not ask for
        them. `http.client` treats a 102 or 103 as the final response. Then the real response
        would be taken for the response to the next request on the same connection.
        """
        for _ in range(_MOST_INTERIM):
            version, status, reason = _read_status_line(self.fp)
            if status >= 200:
                return version, status, reason
            if status == _SWITCHING_PROTOCOLS:  # we never ask for that
                break
            _skip_interim_headers(self.fp)
        raise UnprovenAnswerError

    def _read_next_chunk_size(self) -> int:
        # `http.client` takes "-1" and "1_0" for sizes, too.
        found = _CHUNK_SIZE.fullmatch(self.fp.readline(_LONGEST_LINE))
        if found is None:
            raise UnprovenAnswerError
        return int(found[1], 16)

    def _close_conn(self) -> None:
        """Record whether bytes came after the response. Then release the connection.

        Another request can use the connection only after the release.
        """
        self._raw.exchange.has_strays |= self._has_strays()
        super()._close_conn()  # type: ignore[misc]

    def _has_strays(self) -> bool:
        """Whether bytes came after the response.

        The bytes may be in our buffer, in the buffer of TLS or in the socket.
        """
        self._raw.waits = False
        try:
            return bool(self.fp.peek())
        except OSError:  # TLS has nothing to read, or the socket is broken
            return False


def _read_status_line(lines: BufferedReader) -> tuple[str, int, str]:
    line = lines.readline(_LONGEST_LINE)
    if not line:
        raise RemoteDisconnected("")
    found = _STATUS_LINE.fullmatch(line)
    if found is None:
        raise UnprovenAnswerError
    version, status, reason = found.groups(b"")
    return version.decode(), int(status), reason.decode("iso-8859-1")


def _skip_interim_headers(lines: BufferedReader) -> None:
    left = _LONGEST_INTERIM
    while (line := lines.readline(left)) not in (b"\r\n", b"\n"):
        left -= len(line)
        if not _INTERIM_HEADER.fullmatch(line):  # a line that was cut off does not match either
            raise UnprovenAnswerError


def _check_framing(version: int, status: int, headers: Message) -> None:
    """Raise UnprovenAnswerError if it is doubtful where the body ends (RFC 9112, section 6.3).

    A response with both Content-Length and Transfer-Encoding is refused. A chunked response in
    HTTP/1.0 is also refused. A proxy and we could disagree where such a response ends.
    """
    lengths = {value.strip() for value in headers.get_all("Content-Length", ())}
    codings = [value.lower() for value in headers.get_all("Transfer-Encoding", ())]
    has_odd_length = len(lengths) > 1 or not all(map(_LENGTH.fullmatch, lengths))
    has_odd_coding = codings and (
        codings != ["chunked"] or lengths or version < 11 or status in (204, 304)
    )
    # After a malformed line, the parser takes the other headers for a body.
    if has_odd_length or has_odd_coding or headers.get_payload():
        raise UnprovenAnswerError
