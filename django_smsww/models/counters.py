"""Counters that all hosts share: the use of quotas, and heartbeats."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

TICKS_PER_SECOND = 10_000
"""The unit in which the counter of a day holds the end of a timeline."""


class CounterQuerySet(models.QuerySet["Counter"]):
    """The use of quotas. Each verb is one conditional UPDATE, so that races are harmless."""

    def take(self, scope: str, window: datetime, amount: int, cap: int) -> bool:
        """Use this amount of a quota, or nothing if less is left; return whether it was used."""
        row = self.filter(scope=scope, window=window)
        fits = row.filter(used__lte=cap - amount)
        if fits.update(used=F("used") + amount):
            return True
        if row.exists():
            return False
        self.bulk_create([self.model(scope=scope, window=window)], ignore_conflicts=True)
        return bool(fits.update(used=F("used") + amount))

    def give_back(self, scope: str, window: datetime, amount: int) -> None:
        """Return quota that was used for messages that were not sent."""
        row = self.filter(scope=scope, window=window, used__gte=amount)
        row.update(used=F("used") - amount)

    def reserve(self, scope: str, window: datetime, now: int, latest: int, amount: int) -> int:
        """Reserve a free piece of the window's timeline, and return its beginning.

        It begins now, or at the end of the last piece if that is later. If it would begin after
        `latest`, nothing is reserved.
        """
        row = self.filter(scope=scope, window=window)
        while True:
            end = row.values_list("used", flat=True).first()
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
        """Let the next reservation in this window begin no earlier than `until`."""
        row = self.filter(scope=scope, window=window)
        self.bulk_create([self.model(scope=scope, window=window)], ignore_conflicts=True)
        row.filter(used__lt=until).update(used=until)

    def used(self, scope: str, window: datetime) -> int:
        row = self.filter(scope=scope, window=window)
        return row.values_list("used", flat=True).first() or 0


class Counter(models.Model):
    """The use of a quota in a window of time, by all hosts together."""

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
        """Note that something happened now, at most once in `every` seconds; return if noted.

        Args:
            times: how often it happened since the last note.
        """
        now = timezone.now()
        row = self.filter(environment=environment, name=name)
        old = row.filter(beat_at__lte=now - timedelta(seconds=every)) if every else row
        if old.update(beat_at=now, times=F("times") + times):
            return True
        if row.exists():
            return False
        first = self.model(environment=environment, name=name, beat_at=now, times=times)
        self.bulk_create([first], ignore_conflicts=True)
        return True


class Heartbeat(models.Model):
    """When a deployment last did a regular task, such as a sweep of the queue."""

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
