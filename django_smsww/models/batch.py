from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import models
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .fields import user_field
from .message import Message
from .sql import expression, table_of, upsert
from .suspension import STOPPED, Suspension


class BatchQuerySet(models.QuerySet["Batch"]):
    def note(self, rows: Sequence[Message]) -> None:
        """Before the INSERT of these messages, add their number to the `size` of their batches."""
        parts = defaultdict[UUID, list[Message]](list)
        for row in rows:
            if row.batch:
                parts[row.batch].append(row)
        for part in parts.values():
            self._add(part)

    def forget(self, rows: Sequence[Message]) -> None:
        """Undo `note()` for messages that were not stored. Delete batches that become empty."""
        sizes = Counter((row.batch, row.alias, row.environment) for row in rows if row.batch)
        for (reference, alias, environment), size in sizes.items():
            batch = self.filter(reference=reference, alias=alias, environment=environment)
            batch.update(size=F("size") - size)
            batch.filter(size=0).delete()

    def _add(self, rows: Sequence[Message]) -> None:
        row, size = rows[0], len(rows)
        tag = row.tag if len({each.tag for each in rows}) == 1 else ""
        values = {name: getattr(row, name) for name in ("alias", "environment", "created_at")}
        values |= {"reference": row.batch, "created_by": row.created_by_id}
        values |= {"size": size, "tag": tag}
        table = table_of(self.model, self.db)
        again = {
            "size": expression(f"{table}.size + %s", [size]),
            "tag": expression(f"CASE WHEN {table}.tag = %s THEN {table}.tag ELSE '' END", [tag]),
        }
        upsert(self.model, values, ("reference", "alias", "environment"), again, self.db)


class Batch(models.Model):
    """A mass send with one alias. The row is stored before the first message of the batch.

    The row does not have the text of the messages. The progress and the cost are computed from
    the messages of the batch.

    Attributes:
        reference: the UUID in the field `batch` of the messages.
        tag: the tag of the messages, or "" if the messages have different tags.
        size: how many messages were stored.
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
        # The permission to see messages includes their batches.
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
    """Cancel the QUEUED messages of a mass send, and return their number.

    Leased messages are cancelled, too. If the mass send is still
    storing messages, workers cancel the later ones.
    """
    Suspension.objects.using(using).pause(
        alias, environment, scope=f"batch:{batch}", reason=reason, code=STOPPED, by=by
    )
    rows = Message.objects.using(using).of(alias, environment).filter(batch=batch)
    return rows.cancel(by=by, reason=reason)
