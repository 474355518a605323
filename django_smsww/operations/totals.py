"""The sums of the messages in a period of days. The sums of past days are cached.

# Note [When a day is summed again]
It takes seconds to sum the messages of a month, so the sums of past days are cached. Cached sums
can become outdated. It would be too slow if each send and each callback marked its
day as changed. Instead, these rules tell which days are summed again:

- Today is summed at each call. If today has many messages, it is summed only once a minute.
- A past day is summed again if its number of unfinished messages has changed, for example after a
  late callback, a look-up or a decision of a person. The index on `state` makes this test fast.
- A late price, or a change from one finished state to another, does not change the number of
  unfinished messages. So cached sums also expire. The older the day was when it was summed, the
  longer its sums stay valid: a day that was 5 days old is summed again after 5 hours.
"""

from __future__ import annotations

import time
from collections import defaultdict
from datetime import date, datetime, timedelta

from django.db import DatabaseError, router, transaction
from django.db.models import Count
from django.utils import timezone

from ..clock import day_bounds, day_of
from ..models import DailyTotal, Message
from ..states import UNFINISHED
from .days import Day, Sums, created_day, sum_up

MOST_DAYS = 366
MANY_MESSAGES = 20_000
MINUTE = timedelta(minutes=1)
HOURS_A_DAY = 24

SYNC_SECONDS = 5
"""After this time, `keep_up()`, which `smsww_sync` calls, does not begin to sum another day."""


def read_days(first: date, last: date, *, seconds: float | None = None) -> Period:
    """Return the figures of the days from `first` to `last`, both included.

    Args:
        seconds: how long the function may sum past days. If the time is over, the remaining days
            keep their old figures, if any, until the next call.
    """
    period = Period(first, last)
    period.refresh(seconds)
    return period


def keep_up() -> None:
    """Cache the sums of the past year, so that pages show them without delay."""
    using = router.db_for_write(Message)
    oldest = Message.objects.using(using).order_by("created_at").first()
    yesterday = day_of(timezone.now()) - timedelta(days=1)
    if oldest and day_of(oldest.created_at) <= yesterday:
        earliest = yesterday - timedelta(days=MOST_DAYS - 1)
        read_days(max(day_of(oldest.created_at), earliest), yesterday, seconds=SYNC_SECONDS)


class Period:
    """The figures of the days in a period. Days that are not summed yet have no figures."""

    def __init__(self, first: date, last: date) -> None:
        self.using = router.db_for_write(DailyTotal)
        self.now = timezone.now()
        self.wanted = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        rows = DailyTotal.objects.using(self.using).days().filter(day__gte=first, day__lte=last)
        days = {row.day: Day.cached(row) for row in rows}
        # After a change of TIME_ZONE a day has other messages.
        zone = timezone.get_default_timezone_name()
        self.days = {day: figures for day, figures in days.items() if figures.zone == zone}

    @property
    def as_of(self) -> datetime | None:
        """The time at which the oldest figures of past days were computed.

        None if no past day has figures. The figures of today are at most a minute old: see Note
        [When a day is summed again].
        """
        today = day_of(self.now)
        past = (figures.as_of for day, figures in self.days.items() if day < today)
        return min(past, default=None)

    def by(self, kind: str) -> dict[str, Sums]:
        """Return the sums of the period by "state", "country", "tag", "alias" or "origin"."""
        parts: dict[str, list[Sums]] = defaultdict(list)
        for figures in self.days.values():
            for name, sums in figures.sums[kind].items():
                parts[name].append(sums)
        return {name: Sums.of(sums) for name, sums in parts.items()}

    def refresh(self, seconds: float | None) -> None:
        """Sum outdated days until `seconds` have passed.

        The first outdated day is always summed, and so is today if it is outdated. If the database
        cannot store sums, sum all outdated days, because the next call could not go on from stored
        sums.
        """
        outdated = self._outdated()
        begun, can_save = time.monotonic(), True
        for number, day in enumerate(outdated):
            is_late = seconds is not None and time.monotonic() - begun > seconds
            is_over = day < day_of(self.now)
            if is_late and number and is_over and can_save:
                continue
            self.days[day] = figures = sum_up(day, self.using, self.now)
            if can_save and (is_over or figures.total().messages > MANY_MESSAGES):
                can_save = self._save(day, figures)
        self.days = {day: self.days[day] for day in self.wanted if day in self.days}

    def _save(self, day: date, figures: Day) -> bool:
        try:
            with transaction.atomic(using=self.using):
                DailyTotal.objects.using(self.using).cache(day, figures.as_json(), figures.as_of)
        except DatabaseError:  # the database is read-only, or locked
            return False
        return True

    def _outdated(self) -> list[date]:
        """Return the days to sum: first the days without figures, then the outdated days.

        Among the outdated days, those with the oldest figures come first.
        """
        moved = self._moved([day for day in self.wanted if day in self.days])
        never = [day for day in self.wanted if day not in self.days]
        again = [
            (figures.as_of, day)
            for day, figures in self.days.items()
            if not self._is_recent(day, figures, is_moved=day in moved)
        ]
        return never + [day for _as_of, day in sorted(again)]

    def _is_recent(self, day: date, figures: Day, *, is_moved: bool) -> bool:
        # See Note [When a day is summed again].
        age = self.now - figures.as_of
        if age < MINUTE and figures.total().messages > MANY_MESSAGES:
            return True
        ended = figures.as_of - day_bounds(day)[1]
        return not is_moved and age <= ended / HOURS_A_DAY

    def _moved(self, days: list[date]) -> set[date]:
        """Return the days for which the cached counts of unfinished messages are out of date."""
        if not days:
            return set()
        # By the day: with a condition on `created_at`, SQLite does not use the index on `state`.
        rows = Message.objects.using(self.using).annotate(day=created_day()).order_by()
        rows = rows.filter(state__in=UNFINISHED, dry_run=False, day__gte=days[0], day__lte=days[-1])
        present = set(rows.values_list("day", "state").annotate(Count("pk")))
        summed = {
            (day, state, sums.messages)
            for day in days
            for state, sums in self.days[day].sums["state"].items()
            if state in UNFINISHED
        }
        return {day for day, _state, _count in present ^ summed}
