"""Counters that all hosts share: used quotas, rate limits, and heartbeats of regular tasks."""

from datetime import datetime, timedelta

from django.db import models
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..clock import database_now
from .sql import select

TICKS_PER_SECOND = 10_000
"""How many ticks a second has. The counter of a rate limit stores ticks since midnight (UTC)."""


class CounterQuerySet(models.QuerySet["Counter"]):
    """The queryset of counters. Each change is one conditional UPDATE, so races are harmless."""

    def take(self, scope: str, window: datetime, amount: int, cap: int) -> bool:
        """Add `amount` to the used quota, or return False if the sum would be more than `cap`."""
        row = self.filter(scope=scope, window=window)
        fits = row.filter(used__lte=cap - amount)
        if fits.update(used=F("used") + amount):
            return True
        if row.exists():
            return False
        self.bulk_create([self.model(scope=scope, window=window)], ignore_conflicts=True)
        return bool(fits.update(used=F("used") + amount))

    def give_back(self, scope: str, window: datetime, amount: int) -> None:
        """Subtract an amount that `take()` has added. Call this if the messages were not sent."""
        row = self.filter(scope=scope, window=window, used__gte=amount)
        row.update(used=F("used") - amount)

    def reserve(self, scope: str, window: datetime, now: int, latest: int, amount: int) -> int:
        """Reserve `amount` ticks (of 0.1 ms) in this window, and return the first tick.

        The first tick is the later of two ticks: `now`, and the end of the previous reservation. If
        the first tick is after the tick `latest`, reserve nothing, and only return the first tick.
        """
        row = self.filter(scope=scope, window=window)
        while True:
            end = self._used(scope, window)
            if end is None and not amount:
                return now
            if end is None:
                self.bulk_create([self.model(scope=scope, window=window)], ignore_conflicts=True)
                continue
            begins = max(end, now)
            if begins > latest or not amount:
                return begins
            if row.filter(used=end).update(used=begins + amount):
                return begins

    def put_off(self, scope: str, window: datetime, until: int) -> None:
        """Delay new reservations in this window: they start at the tick `until` or later."""
        row = self.filter(scope=scope, window=window)
        self.bulk_create([self.model(scope=scope, window=window)], ignore_conflicts=True)
        row.filter(used__lt=until).update(used=until)

    def used(self, scope: str, window: datetime) -> int:
        return self._used(scope, window) or 0

    def _used(self, scope: str, window: datetime) -> int | None:
        found = select(self.model, ["used"], {"scope": scope, "window": window}, self.db)
        return found[0][0] if found else None


class Counter(models.Model):
    """How much of a quota is used in one time window.

    The counter of a rate limit stores a time of day in `used`, in ticks: the earliest time at which
    the next request may begin.
    """

    scope = models.CharField(_("scope"), max_length=160)
    window = models.DateTimeField(_("window"))
    used = models.PositiveIntegerField(_("used"), default=0)

    objects = CounterQuerySet.as_manager()

    class Meta:
        verbose_name = _("counter")
        verbose_name_plural = _("counters")
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["scope", "window"], name="smsww_counter_window"),
        ]

    def __str__(self) -> str:
        return f"{self.scope} · {self.window:%Y-%m-%d %H:%M}"


class HeartbeatQuerySet(models.QuerySet["Heartbeat"]):
    def beat(self, environment: str, name: str, *, every: float = 0, times: int = 1) -> bool:
        """Store the time of a task's run, unless the stored time is recent.

        Return True if the time was stored.

        Args:
            every: for how many seconds a stored time is recent. With 0, always store the time.
            times: the number of runs to add to `Heartbeat.times`.
        """
        now = database_now(self.db)
        row = self.filter(environment=environment, name=name)
        # A time in the future counts as old: a clock that was wrong for a moment stops no task.
        old = row.exclude(beat_at__range=(now - timedelta(seconds=every), now)) if every else row
        if old.update(beat_at=now, times=F("times") + times):
            return True
        if row.exists():
            return False
        first = self.model(environment=environment, name=name, beat_at=now, times=times)
        self.bulk_create([first], ignore_conflicts=True)
        return True


class Heartbeat(models.Model):
    """A regular task of a deployment: when it last ran, and how many times it ran in all."""

    environment = models.CharField(_("environment"), max_length=64, blank=True)
    name = models.CharField(_("name"), max_length=80)
    beat_at = models.DateTimeField(_("at"), default=timezone.now)
    times = models.PositiveBigIntegerField(_("times"), default=1)

    objects = HeartbeatQuerySet.as_manager()

    class Meta:
        verbose_name = _("heartbeat")
        verbose_name_plural = _("heartbeats")
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["environment", "name"], name="smsww_heartbeat_name"),
        ]

    def __str__(self) -> str:
        return f"{self.name} · {self.beat_at:%Y-%m-%d %H:%M}"
