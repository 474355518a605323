"""Keep what days came to, and know when that is no longer true."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta

from django.db import DatabaseError, router, transaction
from django.db.models import Case, IntegerField, Max, Value, When
from django.utils import timezone

from ..models import DailyTotal, DaySummary, Message
from .day import Day
from .rows import Span, day_of, read_day

logger = logging.getLogger("django_smsww.daily")

MARGIN = timedelta(minutes=5)
"""How long after its `updated_at` a change may be committed, the clocks of hosts included."""

BIG = 20_000
TRUSTED = timedelta(minutes=1)
"""A day of so many messages is added up no more often than that."""

UNCONFIRMED = timedelta(hours=1)
"""So long after it was found to be true still, a kept day is noted as confirmed."""

USUAL_DAYS = 92


def read_days(first: date, last: date, *, seconds: float | None = None) -> dict[date, Day]:
    """Return what the days of a period come to; of those that were kept and stand no row is read.

    What had to be read is kept for the next time: nothing is wrong if that fails.

    Args:
        seconds: begin to read no further day after so long. A day that was never read is left
            out then, and one that has changed is told as it was; whoever asks again gets further.
    """
    now = timezone.now()
    spans = [Span.of(first + timedelta(days=n)) for n in range((last - first).days + 1)]
    rows = _kept(spans)
    standing = _standing(spans, rows, now)
    unread = [span for span in spans if span.day not in rows]
    changed = [span for span in spans if span.day in rows.keys() - standing]
    wanted = [*unread, *sorted(changed, key=lambda span: rows[span.day].as_of)]
    read = _read(wanted, now, seconds)
    if not _keep(read, now):
        # Who asks again would get no further.
        read |= _read([span for span in wanted if span not in read], now)
    days = {day: Day.from_json(row.figures) for day, row in rows.items()}
    days |= {span.day: day for span, day in read.items()}
    return {span.day: days[span.day] for span in spans if span.day in days}


def keep_up() -> None:
    """Add up the days of the past three months that have ended, where nobody has done so yet."""
    oldest = Message.objects.order_by("created_at").values_list("created_at", flat=True).first()
    if oldest is None:
        return
    yesterday = day_of(timezone.now()) - timedelta(days=1)
    first = max(day_of(oldest), yesterday - timedelta(days=USUAL_DAYS - 1))
    if first <= yesterday:
        read_days(first, yesterday)


def _read(spans: Sequence[Span], now: datetime, seconds: float | None = None) -> dict[Span, Day]:
    """Add these days up: at least one, and whatever has not ended, as it cannot be kept."""
    begun = time.monotonic()
    read: dict[Span, Day] = {}
    for span in spans:
        is_late = seconds is not None and time.monotonic() - begun > seconds
        if not (read and is_late and span.ends <= now):
            read[span] = read_day(span)
    return read


def _kept(spans: Sequence[Span]) -> dict[date, DaySummary]:
    """Return the days that were kept, whether they stand or not."""
    ends = {span.begins: span.ends for span in spans}
    kept = DaySummary.objects.filter(begins__gte=spans[0].begins, begins__lt=spans[-1].ends)
    return {day_of(row.begins): row for row in kept if ends.get(row.begins) == row.ends}


def _standing(spans: Sequence[Span], rows: Mapping[date, DaySummary], now: datetime) -> set[date]:
    """Return the days that have not changed since they were kept."""
    if not rows:
        return set()
    changes = _changes(spans, min(row.as_of for row in rows.values()) - MARGIN)
    standing = {day for day, row in rows.items() if _stands(row, changes.get(day), now)}
    _confirm([rows[day] for day in standing if day not in changes], now)
    return standing


def _stands(row: DaySummary, changed: datetime | None, now: datetime) -> bool:
    if changed is None or changed < row.as_of - MARGIN:
        return True
    return row.messages > BIG and row.as_of > now - TRUSTED


def _changes(spans: Sequence[Span], since: datetime) -> Mapping[date, datetime]:
    """Return the days of which anything was written since then, and when it was last."""
    # Were the rows narrowed down by `created_at` as well, a database might take the wrong index.
    number = Case(
        When(created_at__lt=spans[0].begins, then=None),
        *(When(created_at__lt=span.ends, then=Value(n)) for n, span in enumerate(spans)),
        output_field=IntegerField(null=True),
    )
    rows = Message.objects.filter(updated_at__gte=since).order_by()
    written = rows.values_list(number).annotate(Max("updated_at"))
    changes: dict[date, datetime] = {spans[n].day: at for n, at in written if n is not None}
    pruned = DailyTotal.objects.filter(updated_at__gte=since, day__gte=spans[0].day)
    for one, at in pruned.order_by().values_list("day").annotate(Max("updated_at")):
        changes[one] = max(at, changes.get(one, at))
    return changes


def _confirm(rows: Iterable[DaySummary], now: datetime) -> None:
    old = [row.pk for row in rows if row.as_of < now - UNCONFIRMED]
    if old:
        _try(lambda using: DaySummary.objects.using(using).filter(pk__in=old).update(as_of=now))


def _keep(read: Mapping[Span, Day], now: datetime) -> bool:
    rows = [
        DaySummary(
            begins=span.begins,
            ends=span.ends,
            as_of=now,
            messages=day.messages,
            figures=day.as_json(),
        )
        for span, day in read.items()
        if span.ends <= now or day.messages > BIG
    ]
    return not rows or _try(lambda using: DaySummary.objects.using(using).replace(rows))


def _try(write: Callable[[str], object]) -> bool:
    """Write what can be found out again; another process may be doing so, or hold the lock.

    Returns:
        Whether it was written.
    """
    using = router.db_for_write(DaySummary)
    try:
        with transaction.atomic(using=using):
            write(using)
    except DatabaseError as error:
        logger.debug("What days came to could not be kept: %s", type(error).__name__)
        return False
    return True
