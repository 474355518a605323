"""Move each provider id to the row that the provider's record names by its reference.

The signature of a callback covers the reference, but not the provider id. The provider's record
with this id has the reference of the message that was sent, so the record overrules the callback:
see Note [Whose id it is].
"""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db import transaction

from ..gateway.signature import read_custom_stamp
from ..models import Callback, Message, MessageQuerySet
from ..models.transitions import overrule_callbacks
from ..sms import SendResult


@dataclass
class Ownership:
    """Rows and entries of one sync whose ids and references disagree.

    Attributes:
        misnamed: rows with the id of another message.
        named: entries without a row of their id, each with the row that its reference names.
    """

    misnamed: list[Message] = field(default_factory=list)
    named: list[tuple[Message, SendResult]] = field(default_factory=list)

    def give_back(self, rows: MessageQuerySet) -> None:
        """Take the wrong ids from their rows.

        A row whose own entry is there takes over its id, state and facts. Without it the row is
        UNKNOWN: state and facts that came with the wrong id are another message's, too.
        """
        own = {row.pk: entry for row, entry in reversed(self.named)}
        with transaction.atomic(using=rows.db):
            # All ids go before the first one comes: two rows may have each other's.
            for row in [row for row in self.misnamed if _take_id(rows, row, row.pk in own)]:
                if row.pk in own:
                    overrule_callbacks(row, own[row.pk])


def names_another(row: Message, entry: SendResult) -> bool:
    """Tell whether the entry bears the reference of another message of this deployment."""
    stamp = read_custom_stamp(entry.custom)
    if stamp is None or stamp.environment != row.environment:
        return False
    return stamp.reference != row.reference


def came_by_callback(row: Message) -> bool:
    """Tell whether a callback brought the id of this row."""
    heard = Callback.objects.using(row._state.db).filter(source=Callback.Source.CALLBACK)
    return heard.filter(reference=row.reference, provider_id=row.provider_id).exists()


def _take_id(rows: MessageQuerySet, row: Message, has_own: bool) -> bool:
    if not has_own:
        return row.disown()
    same = {"provider_id": row.provider_id, "claimed_at": row.claimed_at}
    return bool(rows.filter(pk=row.pk, **same).update(provider_id=None))
