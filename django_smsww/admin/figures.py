"""The numbers of a period: of the rows that are here, and of those that were pruned."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Case, Count, F, IntegerField, QuerySet, Sum, Value, When
from django.db.models.functions import Coalesce
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from ..models import DailyTotal, Message
from ..states import State
from .typed_filters import midnight

SAMPLE = 10_000
"""Of how many deliveries the times are looked at; more are thinned out evenly."""

# What may be told apart without colour is five patterns, so states that ask for the same are one.
GROUPS: dict[str, tuple[str | Promise, frozenset[str]]] = {
    "delivered": (_("Delivered"), frozenset({State.DELIVERED})),
    "lost": (
        _("Not delivered"),
        frozenset({State.UNDELIVERABLE, State.EXPIRED, State.REJECTED}),
    ),
    "failed": (_("Failed or cancelled"), frozenset({State.FAILED, State.CANCELLED})),
    "unknown": (_("Outcome unknown"), frozenset({State.UNKNOWN})),
    "way": (
        _("Under way"),
        frozenset({State.QUEUED, State.SENDING, State.NEW, State.PENDING, State.VALIDATED}),
    ),
}
GROUP_OF = {state: name for name, (_label, states) in GROUPS.items() for state in states}


@dataclass
class Sums:
    """What adds up."""

    messages: int = 0
    segments: int = 0
    cost: Decimal = Decimal(0)
    penalties: Decimal = Decimal(0)

    def add(self, row: dict[str, Any]) -> None:
        """Add one group of rows."""
        self.messages += row["count"]
        self.segments += row["parts"] or 0
        self.cost += row["paid"] or 0
        self.penalties += row["fined"] or 0


@dataclass(frozen=True, slots=True)
class Times:
    """How long deliveries took, in seconds."""

    median: float
    slow: float
    count: int


@dataclass
class Figures:
    """A period in numbers; dry runs are in none of them."""

    days: list[date]
    by_day: dict[tuple[date, str], Sums] = field(default_factory=lambda: defaultdict(Sums))
    by_country: dict[str, Sums] = field(default_factory=lambda: defaultdict(Sums))
    by_tag: dict[str, Sums] = field(default_factory=lambda: defaultdict(Sums))
    by_alias: dict[str, Sums] = field(default_factory=lambda: defaultdict(Sums))
    times: dict[date, Times] = field(default_factory=dict)
    thinned: int = 1

    @classmethod
    def read(cls, first: date, last: date) -> Figures:
        """Read the numbers of these days, the last one included."""
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        figures = cls(days)
        figures._add(_grouped(days))
        figures._add(_pruned(days))
        figures._read_times()
        return figures

    def of_day(self, day: date) -> Sums:
        """Return the sums of a day over all states."""
        whole = Sums()
        for name in GROUPS:
            part = self.by_day.get((day, name), Sums())
            whole.messages += part.messages
            whole.segments += part.segments
            whole.cost += part.cost
            whole.penalties += part.penalties
        return whole

    def delivery_rate(self, day: date) -> float | None:
        """Return which part of what has ended was delivered, or None if nothing has."""
        delivered, lost = (self.by_day.get((day, name), Sums()) for name in ("delivered", "lost"))
        ended = delivered.messages + lost.messages
        return delivered.messages / ended if ended else None

    def _add(self, groups: Iterable[tuple[date, dict[str, Any]]]) -> None:
        for day, row in groups:
            self.by_day[day, GROUP_OF.get(row["state"], "way")].add(row)
            self.by_country[row["country"]].add(row)
            self.by_tag[row["tag"]].add(row)
            self.by_alias[row["alias"]].add(row)

    def _read_times(self) -> None:
        delivered = sum(self.by_day[day, "delivered"].messages for day in self.days)
        self.thinned = -(-delivered // SAMPLE) or 1
        seconds: dict[int, list[float]] = defaultdict(list)
        for number, begun, ended in _deliveries(self.days, self.thinned):
            seconds[number].append(max(0.0, (ended - begun).total_seconds()))
        for number, each in seconds.items():
            each.sort()
            self.times[self.days[number]] = Times(_rank(each, 50), _rank(each, 95), len(each))


def _rank(ordered: list[float], percent: int) -> float:
    """Return the value that so many of a hundred do not exceed, by the nearest rank."""
    return ordered[-(-len(ordered) * percent // 100) - 1]


def _rows(days: list[date]) -> QuerySet[Any]:
    """Return the rows of these days, each with the number of its day.

    To compare is quicker than to truncate: on SQLite that would be a call of Python for each row.
    """
    ends = [midnight(day + timedelta(days=1)) for day in days]
    rows = Message.objects.filter(
        created_at__gte=midnight(days[0]), created_at__lt=ends[-1], dry_run=False
    )
    return rows.annotate(day_number=_number_of_day(ends))


def _number_of_day(ends: list[datetime]) -> Case:
    whens = [When(created_at__lt=end, then=Value(number)) for number, end in enumerate(ends)]
    return Case(*whens, output_field=IntegerField())


def _grouped(days: list[date]) -> Iterable[tuple[date, dict[str, Any]]]:
    groups = (
        _rows(days)
        .order_by()
        .values("day_number", "state", "country", "tag", "alias")
        .annotate(
            count=Count("pk"),
            parts=Sum("segments"),
            paid=Sum("total_price"),
            fined=Sum("penalty"),
        )
    )
    for row in groups:
        yield days[row["day_number"]], row


def _pruned(days: list[date]) -> Iterable[tuple[date, dict[str, Any]]]:
    groups: Any = (
        DailyTotal.objects.filter(day__gte=days[0], day__lte=days[-1])
        .order_by()
        .values("day", "state", "country", "tag", "alias")
        .annotate(
            count=Sum("messages"),
            parts=Sum("segments"),
            paid=Sum("cost"),
            fined=Sum("penalties"),
        )
    )
    for row in groups:
        yield row["day"], row


def _deliveries(days: list[date], thinned: int) -> Iterable[tuple[int, datetime, datetime]]:
    rows = _rows(days).filter(state=State.DELIVERED, delivered_at__isnull=False)
    if thinned > 1:
        rows = rows.annotate(rest=F("pk") % thinned).filter(rest=0)
    begun = Coalesce("claimed_at", "created_at")
    return rows.order_by().values_list("day_number", begun, "delivered_at").iterator()
