"""Show a text with its segments, its invisible characters, and the characters that force UCS-2."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext

from ..segments import (
    SegmentCount,
    count_segments,
    guilty_characters,
    replace_characters,
    split_segments,
)

MOST_GUILTY = 12
"""If more than this many different characters force UCS-2, none of them is highlighted."""

# These characters change the direction of the text after them: it can look like another text.
BIDI_CONTROLS = {
    "\u061c": "ALM",
    "\u200e": "LRM",
    "\u200f": "RLM",
    "\u202a": "LRE",
    "\u202b": "RLE",
    "\u202c": "PDF",
    "\u202d": "LRO",
    "\u202e": "RLO",
    "\u2066": "LRI",
    "\u2067": "RLI",
    "\u2068": "FSI",
    "\u2069": "PDI",
}
# Joiners and the tags of flags shape emoji and letters, so people see their effect.
JOINERS = frozenset("\u200c\u200d")
PLAIN, GUILTY, CONTROL = "plain", "guilty", "control"


@dataclass(frozen=True, slots=True)
class Guilty:
    """A character that forces the encoding UCS-2 for the whole text."""

    shown: SafeString
    code: str
    name: str


@dataclass(frozen=True, slots=True)
class MarkedText:
    """A text as HTML, with facts about its segments and its encoding."""

    marked: SafeString
    count: SegmentCount
    guilty: list[Guilty]
    more_guilty: int
    saving: str

    @classmethod
    def of(cls, text: str) -> MarkedText:
        guilty = guilty_characters(text)
        marks = frozenset(guilty) if len(guilty) <= MOST_GUILTY else frozenset()
        return cls(
            marked=_marked(split_segments(text), marks),
            count=count_segments(text),
            guilty=[_describe(character) for character in guilty[:MOST_GUILTY]],
            more_guilty=len(guilty[MOST_GUILTY:]),
            saving=_saving(text),
        )


def visible(text: str, marks: frozenset[str] = frozenset()) -> SafeString:
    """Return the text as HTML. Invisible characters are named, and `marks` are highlighted."""
    return format_html_join("", "{}", ((piece,) for piece in _pieces(text, marks)))


def is_control(character: str) -> bool:
    """Whether a character is invisible, and can change the look of other characters."""
    if character in "\n" or character in JOINERS or "\U000e0020" <= character <= "\U000e007f":
        return False
    return unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp")


def code_of(character: str) -> str:
    """Return the code point of a character, such as "U+2019"."""
    return f"U+{ord(character):04X}"


def _marked(segments: list[str], marks: frozenset[str]) -> SafeString:
    if len(segments) == 1:
        return visible(segments[0], marks)
    numbered = ((number, visible(text, marks)) for number, text in enumerate(segments, 1))
    return format_html_join(
        "",
        '<span class="smsww-cut" title="{}">{}</span><span class="smsww-segment">{}</span>',
        ((gettext("Segment %d") % number, number, pieces) for number, pieces in numbered),
    )


def _pieces(text: str, marks: frozenset[str]) -> Iterator[str | SafeString]:
    def kind(character: str) -> str:
        if is_control(character):
            return CONTROL
        return GUILTY if character in marks else PLAIN

    for what, characters in groupby(text, kind):
        if what == CONTROL:
            yield from map(_control, characters)
        elif what == GUILTY:
            run = "".join(characters)
            title = ", ".join(f"{code_of(one)} {_name(one)}" for one in dict.fromkeys(run))
            yield format_html('<mark class="smsww-guilty" title="{}">{}</mark>', title, run)
        else:
            yield "".join(characters)


def _control(character: str) -> SafeString:
    short = BIDI_CONTROLS.get(character, code_of(character))
    title = f"{code_of(character)} {_name(character)}"
    return format_html('<bdi class="smsww-control" dir="ltr" title="{}">{}</bdi>', title, short)


def _describe(character: str) -> Guilty:
    shown = _control(character) if is_control(character) else format_html("{}", character)
    return Guilty(shown, code_of(character), _name(character))


def _name(character: str) -> str:
    return unicodedata.name(character, "")


def _saving(text: str) -> str:
    before, after = count_segments(text), count_segments(replace_characters(text))
    if after.encoding == before.encoding:
        return ""
    message = ngettext(
        "With plain punctuation it would be sent as %(encoding)s, in %(n)d segment.",
        "With plain punctuation it would be sent as %(encoding)s, in %(n)d segments.",
        after.segments,
    )
    return message % {"encoding": after.encoding, "n": after.segments}
