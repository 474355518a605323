"""Sums that outlive the rows they were made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, models, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

GROUP = ("day", "environment", "alias", "country", "tag", "state")
SUMS = ("messages", "segments", "cost", "penalties")


class DailyTotalQuerySet(models.QuerySet["DailyTotal"]):
    """The totals; they only ever grow."""

    def add(self, total: Mapping[str, Any]) -> None:
        """Add these sums to the total of their group, or begin one.

        Args:
            total: a value for each name in `GROUP` and in `SUMS`.
        """
        group = {name: total[name] for name in GROUP}
        sums = {name: total[name] or 0 for name in SUMS}
        if self._grow(group, sums):
            return
        try:
            with transaction.atomic(using=self.db):
                self.create(**group, **sums, updated_at=timezone.now())
        except IntegrityError:
            # Another process was first to begin it. If not, nothing may be lost in silence.
            if not self._grow(group, sums):
                raise

    def _grow(self, group: dict[str, Any], sums: dict[str, Any]) -> bool:
        grown = {name: F(name) + value for name, value in sums.items()}
        return bool(self.filter(**group).update(**grown, updated_at=timezone.now()))


class DailyTotal(models.Model):
    """Sums of one day that stay when its messages are pruned."""

    day = models.DateField(_("day"))
    environment = models.CharField(_("environment"), max_length=64, blank=True)
    alias = models.CharField(_("alias"), max_length=64)
    country = models.CharField(_("country"), max_length=2, blank=True)
    tag = models.CharField(_("tag"), max_length=64, blank=True)
    state = models.CharField(_("state"), max_length=16)
    messages = models.PositiveIntegerField(_("messages"), default=0)
    segments = models.PositiveIntegerField(_("segments"), default=0)
    cost = models.DecimalField(_("cost"), max_digits=14, decimal_places=6, default=0)
    penalties = models.DecimalField(_("penalties"), max_digits=14, decimal_places=6, default=0)
    # The database's default is for a release that does not know the column yet.
    updated_at = models.DateTimeField(_("updated at"), db_default=Now(), editable=False)

    objects = DailyTotalQuerySet.as_manager()

    class Meta:
        verbose_name = _("daily total")
        verbose_name_plural = _("daily totals")
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(
                fields=["day", "environment", "alias", "country", "tag", "state"],
                name="smsww_dailytotal_group",
            ),
        ]
        indexes = [models.Index(fields=["updated_at"], name="smsww_dailytotal_updated")]

    def __str__(self) -> str:
        return f"{self.day} · {self.alias} · {self.state}"
