"""Move provider ids from wrong rows to the rows to which they belong.

A callback may bring a wrong provider id, because its signature does not cover the id. But the
provider's own record of this id contains the right reference. The id belongs to the row with this
reference: see Note [Whose id it is] in `models/transitions.py`.
"""

from dataclasses import dataclass, field

from django.db import transaction

from ..gateway.signature import read_custom_stamp
from ..models import Callback, Message, MessageQuerySet
from ..models.transitions import overrule_callbacks
from ..sms import SendResult


@dataclass
class Ownership:
    """The rows and list entries of one sync that disagree about provider ids and references.

    Attributes:
        misnamed: rows that have the provider id of another message.
        named: pairs of a row and a list entry with the same reference. Their provider ids differ.
    """

    misnamed: list[Message] = field(default_factory=list)
    named: list[tuple[Message, SendResult]] = field(default_factory=list)

    def give_back(self, rows: MessageQuerySet) -> None:
        """Remove the wrong provider ids from their rows.

        If the provider's list has the right message of such a row (see `named`), the row gets the
        id, state and data of this message. If not, the row becomes UNKNOWN, because its state and
        data came with the wrong id.
        """
        own = {row.pk: entry for row, entry in reversed(self.named)}
        with transaction.atomic(using=rows.db):
            # Remove all wrong ids before setting one: two rows may have each other's id.
            for row in [row for row in self.misnamed if _take_id(rows, row, row.pk in own)]:
                if row.pk in own:
                    overrule_callbacks(row, own[row.pk])


def names_another(row: Message, entry: SendResult) -> bool:
    """Return True if the entry has the reference of another message of the same deployment."""
    stamp = read_custom_stamp(entry.custom)
    if stamp is None or stamp.environment != row.environment:
        return False
    return stamp.reference != row.reference


def came_by_callback(row: Message) -> bool:
    """Return True if a callback brought the provider id of this row."""
    heard = Callback.objects.using(row._state.db).filter(source=Callback.Source.CALLBACK)
    return heard.filter(reference=row.reference, provider_id=row.provider_id).exists()


def _take_id(rows: MessageQuerySet, row: Message, has_own: bool) -> bool:
    if not has_own:
        return row.disown()
    same = {"provider_id": row.provider_id, "claimed_at": row.claimed_at}
    return bool(rows.filter(pk=row.pk, **same).update(provider_id=None))
