"""Count the SMS segments of a text, one character after another.

This code and `django_smsww.segments` share nothing, so that tests can compare their results. The
alphabet is the default alphabet of 3GPP TS 23.038. Segment sizes are from 3GPP TS 23.040.
"""

from dataclasses import dataclass

_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = "\f^{}\\[~]|€"


@dataclass(frozen=True, slots=True)
class Size:
    """The size of a text. ``characters`` counts units: "€" is 2 units in GSM-7, and 1 in UCS-2."""

    encoding: str
    characters: int
    segments: int


def measure(text: str) -> Size:
    if all(character in _BASIC or character in _EXTENSION for character in text):
        costs = [2 if character in _EXTENSION else 1 for character in text]
        return Size("GSM-7", sum(costs), _fill(costs, single=160, several=153))
    costs = [2 if ord(character) > 0xFFFF else 1 for character in text]
    return Size("UCS-2", sum(costs), _fill(costs, single=70, several=67))


def _fill(costs: list[int], *, single: int, several: int) -> int:
    """Count the segments of a text. No character is split between two segments.

    ``costs`` contains the units of each character. ``single`` is the number of units that fit into
    a text of one segment. ``several`` is the number of units that fit into each segment of a longer
    text.
    """
    if sum(costs) <= single:
        return 1
    segments, free = 1, several
    for cost in costs:
        if cost > free:
            segments, free = segments + 1, several
        free -= cost
    return segments
