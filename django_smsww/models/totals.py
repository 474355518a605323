"""Daily sums of deleted (pruned) messages, and cached sums of all messages of a day."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import IntegrityError, models, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

GROUP = ("day", "environment", "alias", "country", "tag", "state", "origin")
SUMS = ("messages", "segments", "cost", "penalties")


class DailyTotalQuerySet(models.QuerySet["DailyTotal"]):
    def groups(self) -> DailyTotalQuerySet:
        """Return the rows with sums of deleted messages. These sums cannot be computed again."""
        return self.exclude(state="")

    def days(self) -> DailyTotalQuerySet:
        """Return the cache rows. Each has the sums of one day, including deleted messages."""
        return self.filter(state="")

    def add(self, total: Mapping[str, Any]) -> None:
        """Add the sums of messages that the current transaction deletes.

        Args:
            total: a value for each name in `GROUP` and in `SUMS`.
        """
        group = {name: total[name] for name in GROUP}
        sums = {name: total[name] or 0 for name in SUMS}
        if self._grow(group, sums):
            return
        try:
            with transaction.atomic(using=self.db):
                self.create(**group, **sums)
        except IntegrityError:
            # Another process inserted the row first. If not, raise: no sum may be lost silently.
            if not self._grow(group, sums):
                raise

    def _grow(self, group: dict[str, Any], sums: dict[str, Any]) -> bool:
        grown = {name: F(name) + value for name, value in sums.items()}
        return bool(self.filter(**group).update(**grown, updated_at=timezone.now()))

    def cache(self, day: date, figures: Mapping[str, Any], as_of: datetime) -> None:
        """Cache a day's sums, computed at `as_of`, unless another process has cached newer sums."""
        columns = {"figures": figures, "updated_at": as_of}
        if not self.days().filter(day=day, updated_at__lte=as_of).update(**columns):
            first = DailyTotal(day=day, **columns)
            DailyTotal.objects.using(self.db).bulk_create([first], ignore_conflicts=True)


class DailyTotal(models.Model):
    """Sums of messages of one day. The sums stay when the messages are deleted.

    A row with a `state` has sums of deleted messages, grouped by the columns in `GROUP`.
    A row without a `state` is a cache: its `figures` are the sums of all messages of the day at the
    time `updated_at`. Deleted messages are included, so deletions do not make the cache wrong.
    """

    day = models.DateField(_("day"))
    environment = models.CharField(_("environment"), max_length=64, blank=True)
    alias = models.CharField(_("alias"), max_length=64, blank=True)
    country = models.CharField(_("country"), max_length=2, blank=True)
    tag = models.CharField(_("tag"), max_length=64, blank=True)
    state = models.CharField(_("state"), max_length=16, blank=True)
    origin = models.CharField(_("origin"), max_length=16, blank=True)
    messages = models.PositiveIntegerField(_("messages"), default=0)
    segments = models.PositiveIntegerField(_("segments"), default=0)
    cost = models.DecimalField(_("cost"), max_digits=14, decimal_places=6, default=0)
    penalties = models.DecimalField(_("penalties"), max_digits=14, decimal_places=6, default=0)
    figures = models.JSONField(_("figures"), null=True, blank=True, encoder=DjangoJSONEncoder)
    updated_at = models.DateTimeField(_("updated at"), default=timezone.now, editable=False)

    objects = DailyTotalQuerySet.as_manager()

    class Meta:
        verbose_name = _("daily total")
        verbose_name_plural = _("daily totals")
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(fields=GROUP, name="smsww_dailytotal_group")]

    def __str__(self) -> str:
        return f"{self.day} · {self.alias} · {self.state}"
