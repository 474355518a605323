"""Where an answer begins and ends (RFC 9112), read more strictly than `http.client` does.

An answer that begins in the wrong place is the answer to another message. So any doubt about
where it begins or ends breaks the exchange, and the outcome is unknown.
"""

from __future__ import annotations

import re
from email.message import Message
from http.client import HTTPException, RemoteDisconnected
from io import BufferedReader

_LONGEST_LINE = 65536
_LONGEST_INTERIM = 16384
_MOST_INTERIM = 1000
_STATUS_LINE = re.compile(rb"(HTTP/1\.[01])[ \t]+([1-9]\d\d)(?:[ \t]+([^\r\n]*))?\r?\n")
_SWITCHING_PROTOCOLS = 101
# An interim answer has no body; where one that announces a body ends, nobody knows.
_INTERIM_HEADER = re.compile(
    rb"(?!content-length:|transfer-encoding:)[^:\s]+:[^\r\n]*\r?\n", re.IGNORECASE
)
_LENGTH = re.compile(r"[0-9]{1,18}")
_CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")


class UnprovenAnswerError(HTTPException):
    """Nothing proves that this answer is whole and answers this request."""


def read_status(lines: BufferedReader) -> tuple[str, int, str]:
    """Read past interim answers, and return version, status and reason of the final one.

    Proxies send 103 (Early Hints) and 102 unasked. `http.client` takes each but 100 for the final
    answer: then every message read the answer to the one before it, and one was paid twice.
    """
    for _ in range(_MOST_INTERIM):
        version, status, reason = _read_status_line(lines)
        if status >= 200:
            return version, status, reason
        if status == _SWITCHING_PROTOCOLS:  # we never ask for that
            break
        _skip_interim_headers(lines)
    raise UnprovenAnswerError


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
        if not _INTERIM_HEADER.fullmatch(line):  # nor does a line that was cut off
            raise UnprovenAnswerError


def check_framing(version: int, status: int, headers: Message) -> None:
    """Raise UnprovenAnswerError if it is doubtful where the body ends (RFC 9112, section 6.3).

    An answer with both a length and chunks, or with chunks in HTTP/1.0, is not believed: a proxy
    in between may have read it in the other way.
    """
    lengths = {value.strip() for value in headers.get_all("Content-Length", ())}
    codings = [value.lower() for value in headers.get_all("Transfer-Encoding", ())]
    has_odd_length = len(lengths) > 1 or not all(map(_LENGTH.fullmatch, lengths))
    has_odd_coding = codings and (
        codings != ["chunked"] or lengths or version < 11 or status in (204, 304)
    )
    # The parser takes headers after a line that is none for a body.
    if has_odd_length or has_odd_coding or headers.get_payload():
        raise UnprovenAnswerError


def read_chunk_size(lines: BufferedReader) -> int:
    """Read the line before a chunk; `http.client` takes "-1" and "1_0" for sizes, too."""
    found = _CHUNK_SIZE.fullmatch(lines.readline(_LONGEST_LINE))
    if found is None:
        raise UnprovenAnswerError
    return int(found[1], 16)
