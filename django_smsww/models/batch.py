"""Batch: one mass send, so that it can be found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import models
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .fields import user_field
from .message import Message
from .sql import Upsert, expression, table_of, upsert
from .suspension import STOPPED, Suspension


class BatchQuerySet(models.QuerySet["Batch"]):
    def note(self, rows: Sequence[Message]) -> None:
        """Note that these rows are about to be written: one statement for each batch in them."""
        sizes = Counter(row.batch for row in rows if row.batch)
        first = {row.batch: row for row in reversed(rows)}
        for reference, size in sizes.items():
            self._add(first[reference], size)

    def forget(self, rows: Sequence[Message]) -> None:
        """Subtract the rows that `note()` has counted and that were not written."""
        sizes = Counter((row.batch, row.alias, row.environment) for row in rows if row.batch)
        for (reference, alias, environment), size in sizes.items():
            batch = self.filter(reference=reference, alias=alias, environment=environment)
            batch.update(size=F("size") - size)
            batch.filter(size=0).delete()

    def _add(self, row: Message, size: int) -> None:
        names = ("alias", "environment", "tag", "created_at")
        values = {name: getattr(row, name) for name in names}
        values |= {"reference": row.batch, "created_by": row.created_by_id, "size": size}
        entry = Upsert(
            self.model,
            values,
            unique=("reference", "alias", "environment"),
            again={"size": expression(f"{table_of(self.model, self.db)}.size + %s", [size])},
        )
        upsert(entry, self.db)


class Batch(models.Model):
    """A mass send of one alias: its row is written before the first of its messages.

    It has no text. Its progress and its cost are computed from its messages.

    Attributes:
        reference: the `batch` of its messages.
        size: how many messages were written.
    """

    reference = models.UUIDField(_("reference"))
    alias = models.CharField(_("alias"), max_length=64)
    environment = models.CharField(_("environment"), max_length=64, blank=True)
    tag = models.CharField(_("tag"), max_length=64, blank=True)
    size = models.PositiveIntegerField(_("messages"))
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    created_by = user_field(_("created by"))

    objects = BatchQuerySet.as_manager()

    class Meta:
        verbose_name = _("batch")
        verbose_name_plural = _("batches")
        # Who may see messages may see their batches.
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["reference", "alias", "environment"], name="smsww_batch_reference"
            ),
        ]

    def __str__(self) -> str:
        return str(self.reference)


def stop_batch(
    alias: str, environment: str, batch: UUID, *, using: str, by: Any = None, reason: str = ""
) -> int:
    """Cancel the QUEUED messages of a mass send, leased or not, and return their number.

    If the call is still writing rows, workers cancel those when they lease them.
    """
    Suspension.objects.using(using).pause(
        alias, environment, scope=f"batch:{batch}", reason=reason, code=STOPPED, by=by
    )
    rows = Message.objects.using(using).of(alias, environment).filter(batch=batch)
    return rows.cancel(by=by, reason=reason)
