"""Add a day up from its rows, and from the sums of those that were pruned."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Count, F, QuerySet, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from ..models import DailyTotal, Message
from ..states import State
from .day import KINDS, Day, Sums, Times

SAMPLE = 2_000
"""Of how many deliveries of a day the times are looked at; more are thinned out evenly."""


@dataclass(frozen=True, slots=True)
class Span:
    """A day of the project's time zone, from midnight to midnight: 23 to 25 hours."""

    day: date
    begins: datetime
    ends: datetime

    @classmethod
    def of(cls, day: date) -> Span:
        """Return when this day begins and ends, aware or naive as the project's times are."""
        return cls(day, _midnight(day), _midnight(day + timedelta(days=1)))


def day_of(moment: datetime) -> date:
    """Return the day of the project's time zone, as the sums of pruned messages have it, too."""
    if timezone.is_naive(moment):
        return moment.date()
    return timezone.localdate(moment, timezone.get_default_timezone())


def read_day(span: Span) -> Day:
    """Return what a day comes to at this moment."""
    day = Day()
    for row in _groups(_rows(span)):
        day.add(
            row, Sums(row["count"], row["parts"] or 0, _exact(row["paid"]), _exact(row["fined"]))
        )
    day.times = _times(span, day.groups["state"][State.DELIVERED].messages)
    for row in _pruned(span.day):
        day.add(row, Sums(row["count"], row["parts"], _exact(row["paid"]), _exact(row["fined"])))
    return day


def _midnight(day: date) -> datetime:
    begins = datetime.combine(day, time.min)
    if timezone.is_naive(timezone.now()):
        return begins
    return timezone.make_aware(begins, timezone.get_default_timezone())


def _rows(span: Span) -> QuerySet[Message]:
    rows: QuerySet[Message] = Message.objects.filter(
        created_at__gte=span.begins, created_at__lt=span.ends, dry_run=False
    )
    return rows.order_by()


def _groups(rows: QuerySet[Message]) -> QuerySet[Any, dict[str, Any]]:
    return rows.values(*KINDS).annotate(
        count=Count("pk"),
        parts=Sum("segments"),
        paid=Sum("total_price"),
        fined=Sum("penalty"),
    )


def _pruned(day: date) -> QuerySet[Any, dict[str, Any]]:
    totals = DailyTotal.objects.filter(day=day).order_by().values(*KINDS)
    return totals.annotate(
        count=Sum("messages"), parts=Sum("segments"), paid=Sum("cost"), fined=Sum("penalties")
    )


def _times(span: Span, delivered: int) -> Times | None:
    if not delivered:
        return None
    thinned = -(-delivered // SAMPLE)
    rows = _rows(span).filter(state=State.DELIVERED, delivered_at__isnull=False)
    if thinned > 1:
        rows = rows.annotate(rest=F("pk") % thinned).filter(rest=0)
    pairs = rows.values_list(Coalesce("claimed_at", "created_at"), "delivered_at")
    seconds = [max(0.0, (ended - begun).total_seconds()) for begun, ended in pairs]
    return Times.of(seconds, thinned)


def _exact(amount: Decimal | None) -> Decimal:
    return Decimal(0) if amount is None else amount
