"""What is counted across all hosts: the use of caps, and signs of life."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class CounterQuerySet(models.QuerySet["Counter"]):
    """How much of caps is used; each verb is one conditional UPDATE, so that races are harmless."""

    def take(self, scope: str, window: datetime, amount: int, cap: int) -> bool:
        """Use this much of a cap, all of it or nothing; say whether that was left."""
        row = self.filter(scope=scope, window=window)
        fits = row.filter(used__lte=cap - amount)
        if fits.update(used=F("used") + amount):
            return True
        if row.exists():
            return False
        self.bulk_create([self.model(scope=scope, window=window)], ignore_conflicts=True)
        return bool(fits.update(used=F("used") + amount))

    def give_back(self, scope: str, window: datetime, amount: int) -> None:
        """Free what was taken for something that was not sent."""
        row = self.filter(scope=scope, window=window, used__gte=amount)
        row.update(used=F("used") - amount)

    def reserve(self, scope: str, window: datetime, now: int, latest: int, amount: int) -> int:
        """Reserve a piece of the window's timeline that nobody else has; return where it begins.

        That is where the last piece ends, or now, whichever is later. Where it would be later
        than `latest`, nothing is reserved.
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
        """Let the next piece of the window's timeline begin no earlier than this."""
        row = self.filter(scope=scope, window=window)
        self.bulk_create([self.model(scope=scope, window=window)], ignore_conflicts=True)
        row.filter(used__lt=until).update(used=until)

    def used(self, scope: str, window: datetime) -> int:
        """Return how much is used by now."""
        row = self.filter(scope=scope, window=window)
        return row.values_list("used", flat=True).first() or 0


class Counter(models.Model):
    """How much of a cap is used in a window of time, counted across all hosts."""

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
    def beat(self, environment: str, name: str, *, every: float = 0, times: int = 1) -> None:
        """Note that it happened now, so many times more; at most once in `every` seconds."""
        now = timezone.now()
        row = self.filter(environment=environment, name=name)
        old = row.filter(beat_at__lte=now - timedelta(seconds=every)) if every else row
        if old.update(beat_at=now, times=F("times") + times) or row.exists():
            return
        first = self.model(environment=environment, name=name, beat_at=now, times=times)
        self.bulk_create([first], ignore_conflicts=True)


class Heartbeat(models.Model):
    """When something last happened in a deployment, such as a sweep or a callback."""

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
