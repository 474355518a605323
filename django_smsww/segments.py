"""Compute the encoding of a text, its size and its segments (the parts of a long message).

The rules are those of 3GPP TS 23.038 (alphabets) and 3GPP TS 23.040 (the header that joins
segments), with the limits that the gateway documents. The provider counts the
segments itself, and charges for its own count. The count of this module is for previews, limits and
budgets before sending.

This module imports only the standard library.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

GSM7 = "GSM-7"
UCS2 = "UCS-2"

# The header that joins segments numbers them in one octet (TS 23.040, section 9.2.3.24.1).
MAX_SEGMENTS = 255

# TS 23.038, section 6.2.1, row by row. U+001B is not a character: it announces a character of the
# extension table.
_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅå"
    "Δ_ΦΓΛΩΠΨΣΘΞÆæßÉ"
    " !\"#¤%&'()*+,-./"
    "0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNO"
    "PQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmno"
    "pqrstuvwxyzäöñüà"
)
_EXTENSION = "\f^{}\\[~]|€"  # Section 6.2.1.1: each is sent as an escape and a second septet.

_ALPHABET = frozenset(_BASIC + _EXTENSION)
# One search is quick for every script; a set of characters takes five times as long outside
# Latin-1.
_find_stranger = re.compile(f"[^{re.escape(_BASIC + _EXTENSION)}]").search

# A text is measured in units, one octet for each septet or UTF-16 code unit. An octet only says
# whether its unit is the first of two that stay together: an escape or a high surrogate.
_PAIR = "ÿ"  # Any character that UTF-8 writes in two octets.
_FIRST = _PAIR.encode()[:1]
_GSM7_UNITS = bytes(ord(_PAIR) if chr(octet) in _EXTENSION else 0 for octet in range(256))
_UCS2_UNITS = bytes(_FIRST[0] if 0xD8 <= octet <= 0xDB else 0 for octet in range(256))

# How many units a message of one segment holds, and each segment of a longer message.
_LIMITS = {GSM7: (160, 153), UCS2: (70, 67)}

# Typography, and its plain forms in GSM-7. No letter or digit is here, not even one that looks
# like another: accents, ç, ² and the homoglyphs of other scripts stay.
_REPLACEMENTS = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛′`´", "'"),
        **dict.fromkeys("“”„‟«»″", '"'),
        # Hyphens, dashes and the minus sign.
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
        "‹": "<",
        "›": ">",
        "…": "...",
        "•": "*",
        "⁄": "/",
        # A tab, and the spaces of other widths or that do not break.
        **dict.fromkeys("\t\u00a0\u202f\u205f\u3000", " "),
        **dict.fromkeys(map(chr, range(0x2000, 0x200B)), " "),
        # The line breaks of word processors.
        **dict.fromkeys("\v\u0085\u2028\u2029", "\n"),
        # Invisible: soft hyphen, zero width, byte order mark. The joiners among them matter in
        # emoji and in some scripts, but a text with any of those is left alone as a whole.
        **dict.fromkeys("\u00ad\u200b\u200c\u200d\u2060\ufeff", ""),
        # Invisible: left-to-right marks, which come along with numbers copied from a phone book.
        **dict.fromkeys("\u200e\u202a\u202c\u2066\u2068\u2069", ""),
    }
)

# A long dash between words parts them, and a hyphen in its place would join them. Between numbers
# it stands for "to", as a hyphen does. (A browser reads this expression too.)
_PARTING_DASH = re.compile(r"(?<=[^\s\d—―])[—―](?=[^\s—―.,;:!?)])|(?<=\d)[—―](?=[^\s\d—―.,;:!?)])")


@dataclass(frozen=True, slots=True)
class SegmentCount:
    """The encoding and the size of a text.

    `characters` counts septets in GSM-7, and UTF-16 code units in UCS-2. Do not compute `segments`
    from `characters` by division. A character of two units is never split between two segments, so
    a segment may have one unit less than the limit.
    """

    encoding: str
    characters: int
    segments: int


def count_segments(text: str) -> SegmentCount:
    """Return the encoding of `text`, its size in that encoding and its number of segments.

    This function also accepts a text that cannot be sent. The empty text has one segment. A lone
    surrogate counts as one unit of UCS-2. The number of segments may exceed `MAX_SEGMENTS`.
    """
    encoding, units = _encode(text)
    segments = sum(1 for _ in _cut(encoding, units))
    return SegmentCount(encoding, len(units), segments)


def split_segments(text: str) -> list[str]:
    """Split `text` into the texts of its segments. All characters are kept."""
    segments, start = [], 0
    for units in _cut(*_encode(text)):
        end = start + len(units) - units.count(_FIRST)
        segments.append(text[start:end])
        start = end
    return segments


def guilty_characters(text: str) -> tuple[str, ...]:
    """Return the distinct characters of `text` that GSM-7 lacks, so that `text` needs UCS-2."""
    return tuple(character for character in dict.fromkeys(text) if character not in _ALPHABET)


def replace_characters(text: str) -> str:
    """Make the punctuation of `text` plain, so that the text can be sent in GSM-7.

    Quotation marks, dashes, spaces and similar characters become plain. Invisible characters are
    removed. A letter and its separate accent become one character. Other letters and digits do not
    change. A long dash between two words becomes a hyphen with spaces.

    If the plain text would still need UCS-2, or if it would need more segments than before, return
    `text` unchanged.
    """
    if not _find_stranger(text):
        return text
    # Composed first: if a character is removed, its accent must not move to the one before.
    composed = unicodedata.normalize("NFC", text)
    replaced = _PARTING_DASH.sub(" - ", composed).translate(_REPLACEMENTS)
    if _find_stranger(replaced):
        return text
    # An ellipsis becomes three septets, so a text of little else could grow.
    if count_segments(replaced).segments > count_segments(text).segments:
        return text
    return replaced


def _encode(text: str) -> tuple[str, bytes]:
    if _find_stranger(text):
        # The first octet of each code unit. "replace" makes a lone surrogate one common unit.
        return UCS2, text.encode("utf-16-be", "replace")[::2].translate(_UCS2_UNITS)
    # Latin-1 lacks the euro sign, which is a pair like ^, and the Greek capitals, common units.
    characters = text.replace("€", "^").encode("latin-1", "replace").translate(_GSM7_UNITS)
    # UTF-8 is the quickest way to double some of many octets.
    return GSM7, characters.decode("latin-1").encode()


def _cut(encoding: str, units: bytes) -> Iterator[bytes]:
    single, limit = _LIMITS[encoding]
    if len(units) <= single:
        yield units
        return
    start = 0
    while start < len(units):
        end = start + limit
        if units[end - 1 : end] == _FIRST:
            end -= 1
        yield units[start:end]
        start = end


def tables() -> dict[str, object]:
    """Return the tables that the JavaScript in the browser needs to count segments."""
    return {
        "basic": _BASIC,
        "extension": _EXTENSION,
        "limits": {encoding: list(limits) for encoding, limits in _LIMITS.items()},
        "replacements": {chr(code): plain for code, plain in _REPLACEMENTS.items()},
        "parting_dash": _PARTING_DASH.pattern,
    }
