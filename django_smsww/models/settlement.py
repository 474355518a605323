"""The ways out of UNKNOWN, and the way into it after a backup was restored."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import models, transaction
from django.db.models import Exists, Max, OuterRef, Q
from django.utils.translation.trans_null import gettext_noop as _

from ..clock import database_now
from ..exceptions import InvalidSMS, SMSOutcomeUnknown, SMSUnavailable
from ..sms import SendResult
from ..states import Cause, State
from .callback import Callback
from .event import Event
from .fields import stored_user
from .provider_facts import replace
from .queryset import NO_ERROR, MessageQuerySet, error_columns

GRACE = timedelta(minutes=10)
"""For so long after its start an attempt may still be under way, and nobody may judge it."""

PROVED_ABSENT = "proved_absent"
SETTLED_UNSENT = "settled_unsent"


class Settlement(models.Model):
    """The part of Message that decides about UNKNOWN.

    A decision is valid for the attempt that this instance has read. If another attempt has begun
    since, nothing moves.
    """

    claimed_at: Any  # of Message, like those below
    provider_id: Any
    created_at: Any
    events: Any

    class Meta:
        abstract = True

    def settle(self, sent: bool, by: Any, reason: str, *, grace: timedelta = GRACE) -> bool:
        """Settle an unknown outcome on a person's word; return False if it was settled meanwhile.

        Args:
            sent: True makes the message PENDING, and later callbacks still count. False makes it
                FAILED, so that a repeated key or a resend sends it.
            by: the user.
            reason: the evidence of that person; kept with the message.

        Raises:
            InvalidSMS: there is no reason, the grace period is not over, or the provider has
                the message although `sent` is False.
        """
        if not reason.strip():
            raise InvalidSMS(
                _("Give a reason: how do you know that it was sent, or was not?"), code="no_reason"
            )
        if database_now(self._rows().db) < self.last_attempt_at() + grace:
            text = _("It is too early: its request may still be under way.")
            raise InvalidSMS(text, code="too_early")
        details = {"user": stored_user(by), "reason": reason.strip()[:255]}
        if sent:
            return self._decide(State.PENDING, Cause.PERSON, NO_ERROR, details)
        if self.was_heard_of():
            raise InvalidSMS(_("The provider knows it: settle it as sent."), code="known")
        error = SMSUnavailable(_("A person settled it as not sent"), code=SETTLED_UNSENT)
        return self._decide(
            State.FAILED, Cause.PERSON, error_columns(error), details, where=self._unheard()
        )

    def rule_out(self) -> bool:
        """Record the proof that the provider never had it: the row is FAILED, and may be resent."""
        error = SMSUnavailable(_("It was proved that it never arrived"), code=PROVED_ABSENT)
        columns = error_columns(error)
        return self._decide(State.FAILED, Cause.ABSENCE, columns, columns, where=self._unheard())

    def mark_restored(self) -> bool:
        """Make a row of a restored backup UNKNOWN, since it may have been sent after the backup."""
        text = _("A backup was restored: it may have been sent")
        columns = error_columns(SMSOutcomeUnknown(text, code="restored"))
        return self._decide(State.UNKNOWN, Cause.RESTORE, columns, columns, kind=Event.Kind.HELD)

    def disown(self) -> bool:
        """Remove the provider id of another message: the row is UNKNOWN, as before any report."""
        text = _("A callback had given this message the provider id of another one")
        columns = error_columns(SMSOutcomeUnknown(text, code="not_its_id"))
        changes = columns | replace(SendResult()) | {"provider_id": None}
        same_id = Q(provider_id=self.provider_id)
        return self._decide(State.UNKNOWN, Cause.RECORD, changes, columns, where=same_id)

    def last_attempt_at(self) -> datetime:
        """Return the latest time at which it may have been sent: by its claim, or by a restore."""
        held = self.events.filter(kind=Event.Kind.HELD).aggregate(at=Max("created_at"))["at"]
        return max(filter(None, (self.claimed_at, held)), default=self.created_at)

    def was_heard_of(self) -> bool:
        """Tell whether anything shows that the provider has the message, such as a callback."""
        return not self._rows().filter(self._unheard()).exists()

    def _unheard(self) -> Q:
        """Return the condition that nothing shows that the provider has the message.

        A signed callback shows it, even one that moved nothing.
        """
        heard = Callback.objects.using(self._rows().db).filter(
            reference=OuterRef("reference"), source=Callback.Source.CALLBACK
        )
        return Q(provider_id=None) & ~Q(Exists(heard))

    def _decide(
        self,
        target: State,
        cause: Cause,
        columns: dict[str, Any],
        noted: dict[str, Any],
        *,
        kind: Event.Kind = Event.Kind.SETTLED,
        where: Q | None = None,
    ) -> bool:
        same_attempt = Q(claimed_at=self.claimed_at) & (where or Q())
        return self._move(target, cause, same_attempt, columns, kind, noted)

    def _move(
        self,
        target: State,
        cause: Cause,
        where: Q,
        changes: dict[str, Any],
        kind: Event.Kind,
        noted: dict[str, Any],
    ) -> bool:
        """Move the row, and note the event in the same transaction."""
        rows = self._rows()
        with transaction.atomic(using=rows.db):
            moved = rows.advance(target, cause, where=where, **changes)
            if moved:
                # By the shared clock: reconcile compares it with `claimed_at`.
                now = database_now(rows.db)
                events = Event.objects.using(rows.db)
                events.create(message_id=self.pk, kind=kind, state=target, created_at=now, **noted)
        return moved

    def _rows(self) -> MessageQuerySet:
        return MessageQuerySet(type(self), using=self._state.db).filter(pk=self.pk)
