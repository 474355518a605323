"""Decompress response bodies. A proxy may compress a body, although no request asks for it."""

import zlib

_GZIP, _ZLIB, _BARE = 31, 15, -15
_WAYS = {"gzip": (_GZIP,), "x-gzip": (_GZIP,), "deflate": (_ZLIB, _BARE)}
_MOST_CODINGS = 2
_MOST_TIMES = 200
_HARMLESS_SIZE = 1 << 16


def decoded(body: bytes, header: str, limit: int) -> bytes:
    """Decompress a body according to its header `Content-Encoding`.

    Return the body unchanged if it cannot be decompressed, or if the content exceeds `limit`. Also
    return it unchanged if the content exceeds both 64 KiB and 200 times the size of the body.
    """
    names = [name.strip().lower() for name in header.split(",")]
    codings = [name for name in names if name not in ("", "identity")]
    if not codings:
        return body
    most = min(limit, max(_HARMLESS_SIZE, len(body) * _MOST_TIMES))
    content: bytes | None = body if len(codings) <= _MOST_CODINGS else None
    for coding in reversed(codings):
        content = content and _without(coding, content, most)
    return content or body


def _without(coding: str, body: bytes, most: int) -> bytes | None:
    for window in _WAYS.get(coding, ()):
        try:
            return _inflate(body, window, most)
        except zlib.error:
            continue
    return None


def _inflate(body: bytes, window: int, most: int) -> bytes:
    """Decompress all streams. Raise zlib.error if one is cut off.

    Also raise zlib.error if the content of all streams exceeds `most` bytes.
    """
    content = bytearray()
    while body:
        stream = zlib.decompressobj(window)
        content += stream.decompress(body, most + 1 - len(content))
        if not stream.eof or len(content) > most:
            raise zlib.error
        body = stream.unused_data
    return bytes(content)
