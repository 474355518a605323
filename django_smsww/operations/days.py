"""Compute the sums of one day, for messages in the database and messages already deleted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Set
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from django.db.models import Count, F, QuerySet, Sum, Value
from django.db.models.functions import Coalesce, TruncDate
from django.utils import timezone

from ..clock import day_bounds
from ..models import DailyTotal, Message
from ..models.totals import SUMS
from ..states import State

KINDS = ("state", "country", "tag", "alias", "origin")
SAMPLE = 2_000
"""The delivery times of a day are measured in a sample of at most about this many messages."""


class Sums(NamedTuple):
    """The sums of a group of messages, in the order of `SUMS`. Amounts of money are in EUR."""

    messages: int = 0
    segments: int = 0
    cost: Decimal = Decimal(0)
    penalties: Decimal = Decimal(0)

    @classmethod
    def of(cls, parts: Iterable[Sums]) -> Sums:
        columns: list[Any] = [sum(column) for column in zip(*parts, strict=True)]
        return cls(*columns)


class Times(NamedTuple):
    """How many seconds deliveries took: the median, and the 95th percentile (`slow`).

    The number of measured deliveries is `sample`. If `thinned` is 5, this is about a
    fifth of all deliveries.
    """

    median: float
    slow: float
    sample: int
    thinned: int = 1


@dataclass
class Day:
    """The figures of one day. Dry runs are not counted.

    Attributes:
        sums: `sums["country"]["IT"]` has the sums for Italy. The keys of `sums` are `KINDS`.
        zone: the time zone in which the day begins and ends at midnight.
    """

    as_of: datetime
    sums: dict[str, dict[str, Sums]]
    times: Times | None
    zone: str

    @classmethod
    def cached(cls, row: DailyTotal) -> Day:
        figures: Any = row.figures
        sums = {
            kind: {
                name: Sums(*numbers[:2], *map(Decimal, numbers[2:]))
                for name, numbers in named.items()
            }
            for kind, named in figures["sums"].items()
        }
        times = Times(*figures["times"]) if figures["times"] else None
        return cls(row.updated_at, **{**figures, "sums": sums, "times": times})

    def as_json(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "as_of"}

    def total(self, states: Set[str] = frozenset(State)) -> Sums:
        return Sums.of(sums for state, sums in self.sums["state"].items() if state in states)


def created_day() -> TruncDate:
    """Return a database expression for the day of `created_at` in the project's TIME_ZONE."""
    return TruncDate("created_at", tzinfo=timezone.get_default_timezone())


def grouped(rows: QuerySet[Message], *names: str) -> QuerySet[Any, tuple[Any, ...]]:
    """Return a tuple for each group of rows that have the same values in these columns.

    The tuple has these values, and then the values that `SUMS` names. Dry runs are left out.
    """
    # An annotation must not have the name of a column.
    return (
        rows.filter(dry_run=False)
        .order_by()
        .values_list(*names)
        .annotate(
            count=Count("pk"), parts=Sum("segments"), paid=Sum("total_price"), fined=Sum("penalty")
        )
    )


def sum_up(day: date, using: str, as_of: datetime) -> Day:
    begins, ends = day_bounds(day)
    rows = Message.objects.using(using).filter(created_at__gte=begins, created_at__lt=ends)
    sums: dict[str, dict[str, Sums]] = {kind: defaultdict(Sums) for kind in KINDS}
    delivered = 0
    for *names, is_pruned, messages, segments, cost, penalties in _groups(rows, day):
        # SQLite adds amounts as floats.
        money = (round(amount or Decimal(0), 6) for amount in (cost, penalties))
        group = Sums(messages, segments or 0, *money)
        for kind, name in zip(KINDS, names, strict=True):
            sums[kind][name] = Sums.of((sums[kind][name], group))
        if names[0] == State.DELIVERED and not is_pruned:
            delivered += messages
    times = _times(rows, delivered) if delivered else None
    return Day(as_of, sums, times, timezone.get_default_timezone_name())


def _groups(rows: QuerySet[Message], day: date) -> QuerySet[Any, tuple[Any, ...]]:
    """Return the groups of existing and of deleted messages, with one SQL statement.

    With two statements, another process could delete messages in between. The deleted messages
    would then be counted twice, or not at all.
    """
    present = grouped(rows.annotate(is_pruned=Value(False)), *KINDS, "is_pruned")
    pruned = DailyTotal.objects.using(rows.db).groups().filter(day=day).order_by()
    columns = pruned.annotate(is_pruned=Value(True)).values_list(*KINDS, "is_pruned", *SUMS)
    return present.union(columns, all=True)


def _times(rows: QuerySet[Message], delivered: int) -> Times | None:
    """Return the `Times` of the deliveries. For more than `SAMPLE` deliveries, use a sample."""
    thinned = -(-delivered // SAMPLE)
    rows = rows.filter(state=State.DELIVERED, dry_run=False, delivered_at__isnull=False)
    if thinned > 1:
        rows = rows.annotate(rest=F("pk") % thinned).filter(rest=0)
    pairs = rows.values_list(Coalesce("claimed_at", "created_at"), "delivered_at")
    if not (seconds := sorted(max(0.0, (to - since).total_seconds()) for since, to in pairs)):
        return None
    median, slow = (seconds[-(-len(seconds) * percent // 100) - 1] for percent in (50, 95))
    return Times(median, slow, len(seconds), thinned)
