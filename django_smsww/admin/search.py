"""Find messages by number, name or text, always through an index."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q, Value
from django.db.models.functions import Substr
from django.db.models.lookups import Exact

from ..backends.handler import region_of
from ..exceptions import InvalidSMS
from ..models import MessageQuerySet
from ..numbers import plain_text, read_number
from .base import MOST_LISTED

SEPARATORS = re.compile(r"[\s().\-/]+")
NUMBER = re.compile(r"\+?[0-9]{1,31}")

REFERENCE = re.compile(r"[0-9a-f]{4,32}")

FEWEST_LAST_DIGITS = 4
"""Too many numbers end in fewer digits."""

LONGEST_WIDE_PREFIX = 6
"""Many numbers may begin with a prefix of up to so many characters, with the plus sign."""

MOST_TEXTS = 500
"""A search in texts finds so many messages, the newest of the period."""


@dataclass(frozen=True)
class Found:
    """The rows that a search found.

    Attributes:
        count: their number, if the search had to count; capped like the changelist.
    """

    rows: MessageQuerySet
    count: int | None = None


def find(rows: MessageQuerySet, typed: str, *, exact: bool, texts: bool = False) -> Found:
    """Narrow the rows down to the typed number, reference, provider id or key.

    Args:
        exact: accept complete numbers only, so that nobody guesses one digit by digit.
        texts: search in the texts, too; the rows must be those of a period then.
    """
    typed = typed.strip()
    if not typed:
        return Found(rows)
    number, names = as_number(typed), _names(typed)
    if exact:
        return Found(rows.filter(names | Q(recipient=number) if number else names))
    ending = last_digits(typed)
    others = names | begins_with(ending[::-1], "recipient_reversed") if ending else names
    like = others | begins_with(number) if number else others
    if texts:
        return _with_text(rows, typed, like)
    if number and len(number) <= LONGEST_WIDE_PREFIX:
        return _with_wide_prefix(rows, number, like, others)
    return Found(rows.filter(like))


def as_reference(typed: str) -> UUID | None:
    """Return the typed reference, or None."""
    try:
        return UUID(typed)
    except ValueError:
        return None


def as_number(typed: str) -> str:
    """Return a number, or the beginning of one, as numbers are stored; "" for other inputs."""
    with suppress(InvalidSMS):
        return read_number(typed, region_of())
    digits = SEPARATORS.sub("", plain_text(typed))
    if digits.startswith("00"):
        digits = digits[2:]
    return "+" + digits.removeprefix("+") if NUMBER.fullmatch(digits) else ""


def last_digits(typed: str) -> str:
    """Return the last digits of a number, or "" for inputs with a country code.

    They find a national number in every country: "0333 123" is "333123" behind a code.
    """
    digits = SEPARATORS.sub("", plain_text(typed))
    if not NUMBER.fullmatch(digits) or digits.startswith(("+", "00")):
        return ""
    digits = digits.removeprefix("0")
    return digits if len(digits) >= FEWEST_LAST_DIGITS else ""


def begins_with(number: str, column: str = "recipient") -> Q:
    """Return the condition that a column begins with a number, as a range.

    LIKE needs an operator class on PostgreSQL and uses no index on SQLite. The bounds differ in
    digits alone, because the place of punctuation in the order depends on the collation.
    """
    stem = number.rstrip("9")
    if stem in ("+", ""):
        return Q(**{f"{column}__gte": number})
    after = stem[:-1] + str(int(stem[-1]) + 1)
    return Q(**{f"{column}__gte": number, f"{column}__lt": after})


def reference_begins(typed: str, vendor: str) -> Q | None:
    """Return the condition that a reference begins with the typed characters, or None."""
    digits = typed.strip().lower().replace("-", "")
    if not REFERENCE.fullmatch(digits):
        return None
    first, last = UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
    if vendor == "mysql":  # MariaDB orders references by their ends
        dashes = sum(len(digits) > place for place in (8, 12, 16, 20))
        return Q(reference__startswith=str(first)[: len(digits) + dashes])
    return Q(reference__range=(first, last))


def _names(typed: str) -> Q:
    names = Q(provider_id=typed) | Q(key=typed)
    reference = as_reference(typed)
    return names | Q(reference=reference) | Q(batch=reference) if reference else names


def _with_wide_prefix(rows: MessageQuerySet, number: str, like: Q, others: Q) -> Found:
    """Find recipients with a short prefix, which few of them or nearly all may have.

    For a prefix of nearly all, the database finds a page faster from the newest row on than by the
    index, whose many rows it would have to sort. Substr() makes it leave the index alone.
    """
    count = rows.filter(like).order_by()[: MOST_LISTED + 1].count()
    if count > MOST_LISTED:
        like = others | Q(Exact(Substr("recipient", 1, len(number)), Value(number)))
    return Found(rows.filter(like), count)


def _with_text(rows: MessageQuerySet, typed: str, like: Q) -> Found:
    """Find the newest rows with this text, too, and read them by their primary keys."""
    newest = rows.filter(like | Q(body__icontains=typed)).order_by("-created_at")
    found = list(newest.values_list("pk", flat=True)[:MOST_TEXTS])
    return Found(rows.filter(pk__in=found), len(found))
