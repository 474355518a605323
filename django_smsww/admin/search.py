"""Find messages by what people have at hand, always through an index."""

from __future__ import annotations

import re
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q, Value
from django.db.models.functions import Substr
from django.db.models.lookups import Exact

from ..models import MessageQuerySet
from .base import MOST_LISTED

SEPARATORS = re.compile(r"[\s\u00a0().\-/]+")
NUMBER = re.compile(r"\+?[0-9]{1,31}")

FEWEST_LAST_DIGITS = 4
"""Fewer digits end too many numbers to be of use."""

LONGEST_WIDE_PREFIX = 6
"""Up to so many characters, the plus sign among them, many numbers may begin alike."""

MOST_TEXTS = 500
"""How many messages are found where texts are looked into, the newest of the period."""


@dataclass(frozen=True)
class Found:
    """What was found.

    Attributes:
        count: how many, if that had to be known to find them; more than can be listed are so many.
    """

    rows: MessageQuerySet
    count: int | None = None


def find(rows: MessageQuerySet, typed: str, *, exact: bool, texts: bool = False) -> Found:
    """Narrow the rows down to what was typed: a number, a reference, a provider id or a key.

    Args:
        exact: take complete numbers only, so that nobody can guess one digit by digit.
        texts: look into the texts as well; the rows must be those of a period then.
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
    """Return the reference that was typed, if it is one."""
    try:
        return UUID(typed)
    except ValueError:
        return None


def as_number(typed: str) -> str:
    """Return "+39333…" as numbers are stored, or "" if what was typed is no number."""
    digits = SEPARATORS.sub("", typed)
    if digits.startswith("00"):
        digits = digits[2:]
    return "+" + digits.removeprefix("+") if NUMBER.fullmatch(digits) else ""


def last_digits(typed: str) -> str:
    """Return the digits that a number may end in, or "" where a country code was typed.

    It is how a national number is found in every country: "0333 123" is "333123" behind a code.
    """
    digits = SEPARATORS.sub("", typed)
    if not NUMBER.fullmatch(digits) or digits.startswith(("+", "00")):
        return ""
    digits = digits.removeprefix("0")
    return digits if len(digits) >= FEWEST_LAST_DIGITS else ""


def begins_with(number: str, column: str = "recipient") -> Q:
    """Return the condition that a column begins so, as a range.

    LIKE needs an operator class on PostgreSQL and uses no index on SQLite. The bounds differ in
    digits alone, because where punctuation stands in the order depends on the collation.
    """
    stem = number.rstrip("9")
    if stem in ("+", ""):
        return Q(**{f"{column}__gte": number})
    after = stem[:-1] + str(int(stem[-1]) + 1)
    return Q(**{f"{column}__gte": number, f"{column}__lt": after})


def _names(typed: str) -> Q:
    names = Q(provider_id=typed) | Q(key=typed)
    reference = as_reference(typed)
    return names | Q(reference=reference) if reference else names


def _with_wide_prefix(rows: MessageQuerySet, number: str, like: Q, others: Q) -> Found:
    """Find recipients that begin so, whether few do or nearly all.

    What nearly all begin with is found quicker from the newest row on than by the index, whose
    many rows would have to be sorted: so the index is kept out of it.
    """
    count = rows.filter(like).order_by()[: MOST_LISTED + 1].count()
    if count > MOST_LISTED:
        like = others | Q(Exact(Substr("recipient", 1, len(number)), Value(number)))
    return Found(rows.filter(like), count)


def _with_text(rows: MessageQuerySet, typed: str, like: Q) -> Found:
    """Find the newest rows with this text, too; they are read back by their primary keys."""
    newest = rows.filter(like | Q(body__icontains=typed)).order_by("-created_at")
    found = list(newest.values_list("pk", flat=True)[:MOST_TEXTS])
    return Found(rows.filter(pk__in=found), len(found))
