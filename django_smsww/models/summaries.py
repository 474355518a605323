"""What days came to when they were last added up: it may be deleted, and is found out again."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class DaySummaryQuerySet(models.QuerySet["DaySummary"]):
    """The kept days."""

    def replace(self, rows: Sequence[DaySummary]) -> None:
        """Keep these days in place of what was kept of them."""
        same = Q()
        for row in rows:
            same |= Q(begins=row.begins, ends=row.ends)
        self.filter(same).delete()
        DaySummary.objects.using(self.db).bulk_create(rows)


class DaySummary(models.Model):
    """The figures of one day, true for what was committed by `as_of`.

    A day is known by when it begins and ends, so that one of another TIME_ZONE is another day.
    """

    begins = models.DateTimeField(_("begins"))
    ends = models.DateTimeField(_("ends"))
    as_of = models.DateTimeField(_("as of"))
    messages = models.PositiveIntegerField(_("messages"))
    figures = models.JSONField(_("figures"))

    objects = DaySummaryQuerySet.as_manager()

    class Meta:
        verbose_name = _("summary of a day")
        verbose_name_plural = _("summaries of days")
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["begins", "ends"], name="smsww_daysummary_day"),
        ]

    def __str__(self) -> str:
        return f"{self.begins:%Y-%m-%d}"
