"""Daily sums of the messages that were pruned, and the cached figures of whole days."""

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
    """The sums of groups, and the figures of days."""

    def groups(self) -> DailyTotalQuerySet:
        """Sums of deleted messages. Nothing can compute them again, so they only ever grow."""
        return self.exclude(state="")

    def days(self) -> DailyTotalQuerySet:
        """Figures of whole days, pruned messages included. You may delete them at any time."""
        return self.filter(state="")

    def add(self, total: Mapping[str, Any]) -> None:
        """Add the sums of messages that this transaction deletes.

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
        """Cache the figures of a day, unless another process has cached newer ones."""
        columns = {"figures": figures, "updated_at": as_of}
        if not self.days().filter(day=day, updated_at__lte=as_of).update(**columns):
            first = DailyTotal(day=day, **columns)
            DailyTotal.objects.using(self.db).bulk_create([first], ignore_conflicts=True)


class DailyTotal(models.Model):
    """Sums of one day that stay when its messages are pruned.

    Besides the rows of groups, a day may have one row without a group. It is a cache: `figures`
    holds the sums of all messages of the day at the time `updated_at`, pruned ones included. So
    pruning does not make it wrong.
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
