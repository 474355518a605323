"""The answer to a send overrules what was only heard: a verb of Message.

# Note [Whose id it is]
The provider's answer to our own request is the one word about a message that cannot be of another
one. A callback is named by its signature, and the id in it is whatever stands there. So where a
callback came before the answer and the two name different messages, the answer is right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Q

from ..sms import SendResult
from ..states import PROVIDER, Cause, State
from . import provider_facts as facts
from .callback import Callback, Outcome
from .queryset import NO_ERROR, MessageQuerySet

if TYPE_CHECKING:
    from .message import Message


def correct(self: Message, result: SendResult) -> bool:
    """Give the row the id of its own answer in place of another; return whether it took it.

    State and facts that came with the wrong id are not this message's either: they become what
    the answer says, and what the ledger holds about the wrong id becomes a mismatch.
    """
    rows = type(self).objects.using(self._state.db).filter(pk=self.pk)
    with transaction.atomic(using=rows.db):
        corrected = _take_id(rows, result, Q(claimed_at=self.claimed_at))
        if corrected:
            heard = Callback.objects.using(rows.db).filter(reference=self.reference)
            others = heard.exclude(provider_id__in=("", result.provider_id))
            others.update(outcome=Outcome.MISMATCH)
    return corrected


def _take_id(rows: MessageQuerySet, result: SendResult, same_attempt: Q) -> bool:
    free = rows.free_id(result.provider_id) & Q(dry_run=False) & same_attempt
    changes = facts.replace(result) | NO_ERROR
    target = State(result.state) if result.state in PROVIDER else State.NEW
    moved = rows.advance(target, Cause.ANSWER, where=free, **changes)
    return moved or bool(rows.filter(free, state=target).update(**changes))
