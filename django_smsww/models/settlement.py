"""Settle UNKNOWN messages, and make messages UNKNOWN after a backup was restored.

To settle a message is to find out, or to decide, whether it was sent.
"""

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
"""How long a request may run after its start. In this time, no person can settle the message."""

PROVED_ABSENT = "proved_absent"
SETTLED_UNSENT = "settled_unsent"


class Settlement(models.Model):
    """The methods of `Message` that settle an UNKNOWN message, or make a message UNKNOWN.

    A method decides about one attempt to send, which began at `self.claimed_at`. If the row in the
    database shows a later attempt, the method does not change the row.
    """

    claimed_at: Any  # of Message, like those below
    provider_id: Any
    created_at: Any
    events: Any

    class Meta:
        abstract = True

    def settle(self, sent: bool, by: Any, reason: str, *, grace: timedelta = GRACE) -> bool:
        """Settle an UNKNOWN message by a person's decision. Return False if it is not UNKNOWN now.

        Args:
            sent: True makes the message PENDING, and later callbacks can still change the state.
                False makes it FAILED. Then a resend, or a call with the same key, can send it.
            reason: the person's evidence that the message was sent, or was not sent.
            grace: for this time after the last attempt, nobody can settle the message.

        Raises:
            InvalidSMS: `reason` is empty, `grace` is not over, or `sent` is False although the
                provider has the message.
        """
        if not reason.strip():
            raise InvalidSMS(
                _("Give a reason: how do you know that it was sent, or was not?"), code="no_reason"
            )
        if self.grace_ends_at(grace):
            text = _("It is too early: its request may still be under way.")
            raise InvalidSMS(text, code="too_early")
        details = {"user": stored_user(by), "reason": reason.strip()[:255]}
        if sent:
            return self._decide(State.PENDING, Cause.PERSON, NO_ERROR, details)
        if self.was_heard_of():
            raise InvalidSMS(
                _("The provider has this message, so it was sent: settle it as sent."), code="known"
            )
        error = SMSUnavailable(_("A person settled it as not sent"), code=SETTLED_UNSENT)
        return self._decide(
            State.FAILED, Cause.PERSON, error_columns(error), details, where=self._unheard()
        )

    def rule_out(self) -> bool:
        """Make an UNKNOWN row FAILED, because the provider's list proves that it was not sent."""
        error = SMSUnavailable(
            _("The gateway’s list proves that the gateway never got it"), code=PROVED_ABSENT
        )
        columns = error_columns(error)
        changes = columns | {"checked_at": database_now(self._rows().db)}
        return self._decide(State.FAILED, Cause.ABSENCE, changes, columns, where=self._unheard())

    def mark_restored(self) -> bool:
        """Make this QUEUED or SENDING row UNKNOWN: it may have been sent since the backup."""
        text = _("A backup was restored; the message may have been sent")
        columns = error_columns(SMSOutcomeUnknown(text, code="restored"))
        return self._decide(State.UNKNOWN, Cause.RESTORE, columns, columns, kind=Event.Kind.HELD)

    def disown(self) -> bool:
        """Make this row UNKNOWN, and remove its provider id, which belongs to another message."""
        text = _("A callback had given this message the provider id of another one")
        columns = error_columns(SMSOutcomeUnknown(text, code="not_its_id"))
        changes = columns | replace(SendResult()) | {"provider_id": None}
        same_id = Q(provider_id=self.provider_id)
        return self._decide(State.UNKNOWN, Cause.RECORD, changes, columns, where=same_id)

    def grace_ends_at(self, grace: timedelta = GRACE) -> datetime | None:
        """Return the end of the grace period, or None if the grace period is over."""
        ends_at = self.last_attempt_at() + grace
        return ends_at if database_now(self._rows().db) < ends_at else None

    def last_attempt_at(self) -> datetime:
        """Return the latest known time at which the message may have been sent.

        The result is the later of two times: `claimed_at`, and the time at which the message became
        UNKNOWN because a backup was restored. If both are missing, the result is `created_at`.
        """
        held = self.events.filter(kind=Event.Kind.HELD).aggregate(at=Max("created_at"))["at"]
        return max(filter(None, (self.claimed_at, held)), default=self.created_at)

    def was_heard_of(self) -> bool:
        """Return True if a provider id or a callback shows that the provider has the message."""
        return not self._rows().filter(self._unheard()).exists()

    def _unheard(self) -> Q:
        """Return the condition for a message without a provider id and without stored callbacks."""
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
        """Change the state of the row, and store an event in the same transaction."""
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
