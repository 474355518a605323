"""Search messages by number, id or text, without a scan of the whole table."""

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connections
from django.db.models import Q, QuerySet, Value
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

FEWEST_OF_REFERENCE = 8
"""The length from which a text may be a part of a reference. Shorter ones may be last digits."""

FEWEST_LAST_DIGITS = 4
"""A search by last digits needs this many: too many numbers end with the same three digits."""

LONGEST_WIDE_PREFIX = 6
"""A prefix of up to this many characters (including the plus sign) may match very many numbers."""

MOST_TEXTS = 500
"""A search in texts finds only the newest messages, at most this many."""


@dataclass(frozen=True)
class Found:
    """The rows that a search found.

    Attributes:
        count: the number of rows, at most `MOST_LISTED` + 1; None if the search did not count.
    """

    rows: MessageQuerySet
    count: int | None = None


def find(rows: MessageQuerySet, typed: str, *, exact: bool, texts: bool = False) -> Found:
    """Filter the rows by the typed number, reference, batch, provider id or key.

    Args:
        exact: match only complete numbers, so that nobody can find out a number digit by digit.
        texts: also search in texts, which is fast only for the rows of a short period.
    """
    typed = typed.strip()
    if not typed:
        return Found(rows)
    number, names = as_number(typed), _names(typed, rows)
    if exact:
        return Found(rows.filter(names | Q(recipient=number) if number else names))
    others = names
    for ending in endings(typed):
        others |= begins_with(ending[::-1], "recipient_reversed")
    like = others | begins_with(number) if number else others
    if texts:
        return _with_text(rows, typed, like)
    if number and len(number) <= LONGEST_WIDE_PREFIX:
        return _with_wide_prefix(rows, number, like, others)
    return Found(rows.filter(like))


def as_reference(typed: str) -> UUID | None:
    try:
        return UUID(typed)
    except ValueError:
        return None


def as_number(typed: str) -> str:
    """Return the typed number, or the typed beginning of a number, in the stored format (E.164).

    Return "" if the input is not a number.
    """
    with suppress(InvalidSMS):
        return read_number(typed, region_of())
    digits = SEPARATORS.sub("", plain_text(typed))
    if digits.startswith("00"):
        digits = digits[2:]
    return "+" + digits.removeprefix("+") if NUMBER.fullmatch(digits) else ""


def endings(typed: str) -> set[str]:
    """Return the possible endings of the number that the user searches for.

    A 0 at the beginning of the input may be the trunk prefix, which E.164 leaves out. So "0333 123"
    gives "0333123" and "333123". Return nothing for fewer than four digits, for input that begins
    with "+", and for input that is not a number.
    """
    digits = SEPARATORS.sub("", plain_text(typed))
    if not NUMBER.fullmatch(digits) or digits.startswith("+"):
        return set()
    both = {digits, digits.removeprefix("0")}
    return {each for each in both if len(each) >= FEWEST_LAST_DIGITS}


def begins_with(number: str, column: str = "recipient") -> Q:
    """Return the condition for rows in which a column begins with a number.

    The condition is a range, which can use an index. LIKE uses no index on SQLite, and needs an
    operator class on PostgreSQL. If `number` begins with "+", each bound of the range also
    begins with "+", because some databases sort "+" before the digits, and some after the digits.
    """
    stem = number.rstrip("9")
    if stem in ("+", ""):
        return Q(**{f"{column}__gte": number})
    after = stem[:-1] + str(int(stem[-1]) + 1)
    return Q(**{f"{column}__gte": number, f"{column}__lt": after})


def reference_begins(typed: str, rows: QuerySet[Any], fewest: int = 4) -> Q | None:
    """Return the condition for rows whose reference begins with the typed characters.

    Return None if the input has fewer than `fewest` digits, or is not hexadecimal.
    """
    digits = typed.strip().lower().replace("-", "")
    if not REFERENCE.fullmatch(digits) or len(digits) < fewest:
        return None
    first, last = UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
    connection = connections[rows.db]
    if connection.vendor != "mysql" or not connection.features.has_native_uuid_field:
        return Q(reference__range=(first, last))
    # MariaDB orders references by their ends. So it reads the whole index: by itself, since beside
    # other conditions it would read the whole table.
    dashes = sum(len(digits) > place for place in (8, 12, 16, 20))
    begun = Q(reference__startswith=str(first)[: len(digits) + dashes])
    found = rows.model._base_manager.using(rows.db).filter(begun).values_list("pk", flat=True)
    return Q(pk__in=list(found[:MOST_TEXTS]))


def _names(typed: str, rows: MessageQuerySet) -> Q:
    names = Q(provider_id=typed) | Q(key=typed)
    if reference := as_reference(typed):
        return names | Q(reference=reference) | Q(batch=reference)
    return names | (reference_begins(typed, rows, FEWEST_OF_REFERENCE) or Q())


def _with_wide_prefix(rows: MessageQuerySet, number: str, like: Q, others: Q) -> Found:
    """Find the rows that match the condition `like`, which is `others | begins_with(number)`.

    If very many rows match, as for "+39", reading the table from its newest row is faster than
    using the index. In this case, a condition with `Substr()` replaces `begins_with()`, because
    the database cannot use the index for `Substr()`.
    """
    count = rows.filter(like).order_by()[: MOST_LISTED + 1].count()
    if count > MOST_LISTED:
        like = others | Q(Exact(Substr("recipient", 1, len(number)), Value(number)))
    return Found(rows.filter(like), count)


def _with_text(rows: MessageQuerySet, typed: str, like: Q) -> Found:
    """Find rows that match the condition `like`, and rows whose text contains the typed text.

    Of all these rows, return only the newest `MOST_TEXTS`.
    """
    newest = rows.filter(like | Q(body__icontains=typed)).order_by("-created_at")
    found = list(newest.values_list("pk", flat=True)[:MOST_TEXTS])
    return Found(rows.filter(pk__in=found), len(found))
