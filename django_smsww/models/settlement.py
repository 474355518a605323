"""The ways out of UNKNOWN, and the way into it after a restored backup: verbs of Message."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import DEFAULT_DB_ALIAS, transaction
from django.db.models import Exists, Max, OuterRef, Q
from django.utils.translation.trans_null import gettext_noop as _

from ..clock import database_now
from ..exceptions import InvalidSMS, SMSOutcomeUnknown, SMSUnavailable
from ..states import Cause, State
from .callback import Callback
from .event import Event
from .queryset import NO_ERROR, error_columns

if TYPE_CHECKING:
    from .message import Message

GRACE = timedelta(minutes=10)
"""How long after it began an attempt may still be under way, so that nobody may judge it yet."""

PROVED_ABSENT = "proved_absent"
SETTLED_UNSENT = "settled_unsent"


def last_attempt_at(self: Message) -> datetime:
    """Return when it may have been sent at the latest; after a restore, when it was held."""
    held = self.events.filter(kind=Event.Kind.HELD).aggregate(at=Max("created_at"))["at"]
    return max(filter(None, (self.claimed_at, held)), default=self.created_at)


def settle(self: Message, sent: bool, by: Any, reason: str, *, grace: timedelta = GRACE) -> bool:
    """Settle an unknown outcome on a person's word; return False if it was settled meanwhile.

    Args:
        sent: True takes it to have been sent: PENDING, and what the provider says of it later
            still counts. False ends it as FAILED, so that a repeated key or a resend sends it.
        by: the user.
        reason: what the person relies on; kept with the message.

    Raises:
        InvalidSMS: there is no reason, or the grace period is not over.
    """
    if not reason.strip():
        raise InvalidSMS(
            _("Give a reason: what says that it was sent, or was not."), code="no_reason"
        )
    if database_now(_database(self)) < last_attempt_at(self) + grace:
        text = _("It is too early: its request may still be under way.")
        raise InvalidSMS(text, code="too_early")
    details = {"user": by, "reason": reason.strip()[:255]}
    if sent:
        return _move(self, State.PENDING, Cause.PERSON, NO_ERROR, **details)
    if was_heard_of(self):
        raise InvalidSMS(_("The provider knows it: settle it as sent."), code="known")
    error = SMSUnavailable(_("A person settled it as not sent"), code=SETTLED_UNSENT)
    columns = error_columns(error)
    return _move(self, State.FAILED, Cause.PERSON, columns, where=_unheard(self), **details)


def rule_out(self: Message) -> bool:
    """Record the proof that the provider never had it: FAILED, and free to be sent again."""
    error = SMSUnavailable(_("It was proved that it never arrived"), code=PROVED_ABSENT)
    columns = error_columns(error)
    return _move(self, State.FAILED, Cause.ABSENCE, columns, where=_unheard(self))


def hold(self: Message) -> bool:
    """Hold a row that may have been sent after the backup that it comes from was made."""
    error = SMSOutcomeUnknown(_("A backup was restored: it may have been sent"), code="restored")
    columns = error_columns(error)
    now = database_now(_database(self))
    kind = Event.Kind.HELD
    return _move(self, State.UNKNOWN, Cause.RESTORE, columns, kind=kind, created_at=now)


def was_heard_of(self: Message) -> bool:
    """Tell whether anything says that the provider has it, even if that moved nothing."""
    rows = type(self).objects.using(_database(self)).filter(pk=self.pk)
    return not rows.filter(_unheard(self)).exists()


def _database(self: Message) -> str:
    return self._state.db or DEFAULT_DB_ALIAS


def _unheard(self: Message) -> Q:
    """Return the condition that nothing says that the provider has the message.

    A signed callback does, even one that moved nothing.
    """
    heard = Callback.objects.using(_database(self)).filter(
        reference=OuterRef("reference"), source=Callback.Source.CALLBACK
    )
    return Q(provider_id=None) & ~Q(Exists(heard))


def _move(
    self: Message,
    target: State,
    cause: Cause,
    columns: dict[str, Any],
    *,
    kind: Event.Kind = Event.Kind.SETTLED,
    where: Q | None = None,
    **details: Any,
) -> bool:
    """Move the row if no other attempt has begun since it was read, and note the event."""
    using = _database(self)
    same_attempt = Q(claimed_at=self.claimed_at)
    rows = type(self).objects.using(using).filter(pk=self.pk)
    with transaction.atomic(using=using):
        moved = rows.advance(target, cause, where=same_attempt & (where or Q()), **columns)
        if moved:
            noted = {} if cause is Cause.PERSON else columns
            Event.objects.using(using).create(
                message=self,
                kind=kind,
                state=target,
                **{"created_at": database_now(using)} | noted | details,
            )
    return moved
