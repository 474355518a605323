from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _
from django.utils.translation.trans_null import gettext_noop

from ..exceptions import ContentRefused, InvalidSMS, SMSError, error_kind
from ..sms import SMS, SendResult
from ..states import FINAL, PROVIDER, RESENDABLE, Cause, State
from .callback import Outcome
from .event import Event
from .fields import ExactCharField, ReversedDigitsField, StateField, user_field
from .indexes import ProvenIndex, UniqueIfSet
from .origin import Origin
from .queryset import NO_ERROR, WORKER_LOST, MessageQuerySet, certainly_not_sent, error_columns
from .settlement import Settlement
from .transitions import end_of, overrule_callbacks

if TYPE_CHECKING:
    from decimal import Decimal

    from .fields import Column

# Each field of an SMS has a column of the same name. Backends do not need these fields.
_ROW_FIELDS = {"key", "batch", "send_at", "expires_at", "priority"}
_SENT_FIELDS = [each.name for each in fields(SMS) if each.name not in _ROW_FIELDS]
RESENT_ALREADY = gettext_noop("It was resent already: resend the newest message instead.")
STILL_UNDER_WAY = gettext_noop("It is still under way.")
OPTIONAL: dict[str, Any] = {"null": True, "blank": True}
MONEY: dict[str, Any] = {"max_digits": 12, "decimal_places": 6, **OPTIONAL}


def fingerprint(body: str) -> str:
    """Return the HMAC of a text, to find equal texts after the text is deleted."""
    return salted_hmac("django_smsww.fingerprint", body, algorithm="sha256").hexdigest()


def _index_of_set(name: str, index: str) -> models.Index:
    """Return an index of the rows in which this column is not NULL."""
    return models.Index(fields=[name], name=index, condition=Q((f"{name}__isnull", False)))


class Message(Settlement):
    """One message to one number. The row is stored before the request to the gateway begins."""

    reference: Column[UUID] = models.UUIDField(
        _("reference"), unique=True, default=uuid4, editable=False
    )
    key: Column[str | None] = ExactCharField(_("key"), max_length=255, **OPTIONAL)
    alias: Column[str] = models.CharField(_("alias"), max_length=64)
    environment: Column[str] = models.CharField(_("environment"), max_length=64, blank=True)
    origin: Column[str] = models.CharField(
        _("origin"), max_length=16, choices=Origin.choices, default=Origin.HERE, editable=False
    )
    batch: Column[UUID | None] = models.UUIDField(_("batch"), **OPTIONAL)
    tag: Column[str] = models.CharField(_("tag"), max_length=64, blank=True)
    custom: Column[Any] = models.JSONField(_("custom data"), default=dict, blank=True)
    created_by: Column[Any] = user_field(_("created by"), db_index=False)  # see smsww_message_user
    resend_of: Column[Message | None] = models.OneToOneField(
        "self",
        models.SET_NULL,
        verbose_name=_("resend of"),
        related_name="resent_as",
        **OPTIONAL,
    )

    recipient: Column[str] = models.CharField(_("recipient"), max_length=32)
    recipient_reversed: Column[str] = ReversedDigitsField(
        _("recipient, digits reversed"), of="recipient"
    )
    redirected_to: Column[str | None] = models.CharField(
        _("redirected to"), max_length=32, **OPTIONAL
    )
    sender: Column[str] = models.CharField(_("sender"), max_length=32, blank=True)
    body: Column[str] = models.TextField(_("text"), blank=True)
    fingerprint: Column[str] = models.CharField(_("fingerprint"), max_length=64, editable=False)
    sensitive: Column[bool] = models.BooleanField(_("sensitive"), default=False)
    scrubbed: Column[bool] = models.BooleanField(_("scrubbed"), default=False)
    encoding: Column[str] = models.CharField(_("encoding"), max_length=8, blank=True)
    characters: Column[int | None] = models.PositiveIntegerField(_("characters"), **OPTIONAL)
    segments: Column[int | None] = models.PositiveSmallIntegerField(_("segments"), **OPTIONAL)
    route: Column[str] = models.CharField(_("route"), max_length=8, blank=True)
    dry_run: Column[bool] = models.BooleanField(_("dry run"), default=False)
    fail_on_multiple_messages: Column[bool] = models.BooleanField(
        _("one segment only"), default=False
    )
    preflight: Column[bool] = models.BooleanField(_("preflight"), default=False)

    state: Column[str] = StateField(
        _("state"), max_length=16, choices=State.choices, default=State.QUEUED, editable=False
    )
    error: Column[str] = models.CharField(_("error"), max_length=32, blank=True)
    error_code: Column[str] = models.CharField(_("error code"), max_length=32, blank=True)
    error_status: Column[int | None] = models.PositiveSmallIntegerField(
        _("HTTP status"), **OPTIONAL
    )
    error_text: Column[str] = models.CharField(_("error text"), max_length=500, blank=True)

    provider_id: Column[str | None] = ExactCharField(_("provider id"), max_length=64, **OPTIONAL)
    country: Column[str] = models.CharField(_("country"), max_length=2, blank=True)
    prefix: Column[str] = models.CharField(_("international prefix"), max_length=8, blank=True)
    price: Column[Decimal | None] = models.DecimalField(_("price per segment"), **MONEY)
    total_price: Column[Decimal | None] = models.DecimalField(_("total price"), **MONEY)
    penalty: Column[Decimal | None] = models.DecimalField(_("estimated penalty"), **MONEY)
    blocklisted: Column[bool] = models.BooleanField(_("blocklisted"), default=False)
    blocklisted_reason: Column[str] = models.CharField(
        _("blocklisted because"), max_length=255, blank=True
    )

    priority: Column[int] = models.SmallIntegerField(_("priority"), default=0)
    attempts: Column[int] = models.PositiveSmallIntegerField(_("attempts"), default=0)
    send_at: Column[datetime | None] = models.DateTimeField(_("send at"), **OPTIONAL)
    next_attempt_at: Column[datetime] = models.DateTimeField(
        _("next attempt at"), default=timezone.now
    )
    expires_at: Column[datetime] = models.DateTimeField(_("expires at"))
    lease_token: Column[UUID | None] = models.UUIDField(null=True, editable=False)
    lease_until: Column[datetime | None] = models.DateTimeField(null=True, editable=False)

    created_at: Column[datetime] = models.DateTimeField(
        _("created at"), default=timezone.now, editable=False
    )
    updated_at: Column[datetime] = models.DateTimeField(
        _("updated at"), default=timezone.now, editable=False
    )
    claimed_at: Column[datetime | None] = models.DateTimeField(_("handed over at"), **OPTIONAL)
    sent_at: Column[datetime | None] = models.DateTimeField(_("sent at"), **OPTIONAL)
    delivered_at: Column[datetime | None] = models.DateTimeField(_("delivered at"), **OPTIONAL)
    finished_at: Column[datetime | None] = models.DateTimeField(_("finished at"), **OPTIONAL)
    checked_at: Column[datetime | None] = models.DateTimeField(_("looked up at"), **OPTIONAL)
    provider_updated_at: Column[datetime | None] = models.DateTimeField(
        _("updated by provider at"), **OPTIONAL
    )

    objects = MessageQuerySet.as_manager()

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        default_permissions = ("view",)
        permissions = [
            ("send_message", _("Can send messages")),
            ("mass_send_message", _("Can send to many numbers at once")),
            ("resend_message", _("Can resend messages")),
            ("refresh_message", _("Can refresh messages from the gateway")),
            ("cancel_message", _("Can cancel queued messages")),
            ("settle_message", _("Can settle messages whose outcome is unknown")),
            ("pause_message", _("Can pause and resume sending")),
            ("export_message", _("Can export messages")),
            ("view_message_costs", _("Can see costs")),
            ("view_message_content", _("Can see numbers and texts")),
        ]
        # Queries look up the first column, so they can use the index behind the constraint. An
        # absent value is NULL: NULLs are not compared, but two "" would be equal.
        constraints = [
            UniqueIfSet(fields=["key", "alias", "dry_run"], name="smsww_message_key"),
            UniqueIfSet(
                fields=["provider_id", "alias", "environment"], name="smsww_message_provider_id"
            ),
        ]
        # docs/scale.md names the query that needs each index: each makes the UPDATEs of its rows
        # slower. MariaDB ignores the conditions, so their columns are among the fields.
        indexes = [
            models.Index(
                fields=["state", "alias", "-priority", "next_attempt_at"],
                name="smsww_message_due",
                condition=Q(state=State.QUEUED),
            ),
            _index_of_set("lease_token", "smsww_message_lease"),
            ProvenIndex(
                fields=["state", "-id"],
                name="smsww_message_state",
                condition=~Q(state=State.DELIVERED),
            ),
            ProvenIndex(fields=["tag", "-id"], name="smsww_message_tag", condition=~Q(tag="")),
            ProvenIndex(
                fields=["origin", "-id"],
                name="smsww_message_elsewhere",
                condition=Q(origin=Origin.ELSEWHERE),
            ),
            _index_of_set("batch", "smsww_message_batched"),
            _index_of_set("created_by", "smsww_message_user"),
            models.Index(fields=["recipient", "-id"], name="smsww_message_recipient"),
            models.Index(fields=["recipient_reversed"], name="smsww_message_ending"),
            models.Index(fields=["created_at"], name="smsww_message_created"),
            models.Index(fields=["-id"], name="smsww_message_dry", condition=Q(dry_run=True)),
            _index_of_set("redirected_to", "smsww_message_redirected"),
        ]

    def __str__(self) -> str:
        return str(self.reference)

    @property
    def is_final(self) -> bool:
        """Whether the state is final, so that no callback can change the state.

        FAILED and CANCELLED are not final: a callback can show that the message was sent.
        """
        return self.state in FINAL

    @property
    def is_undue(self) -> bool:
        """Whether workers must not send this row; see Note [Undue rows]."""
        is_held = self.next_attempt_at == self.expires_at and not self.error
        return self.state == State.QUEUED and is_held

    @property
    def is_from_elsewhere(self) -> bool:
        """Whether another program sent the message with the same account."""
        return self.origin == Origin.ELSEWHERE

    @property
    def is_accepted(self) -> bool:
        """Whether the provider accepted the message. This does not mean that it was delivered."""
        return self.state in PROVIDER

    @property
    def sent_to(self) -> str:
        """The number that gets the message: `redirected_to` if it is set, otherwise `recipient`."""
        return self.redirected_to or self.recipient

    def as_sms(self) -> SMS:
        """Return the `SMS` that a backend sends for this row, to the number `sent_to`."""
        values = {name: getattr(self, name) for name in _SENT_FIELDS}
        return SMS(**values | {"custom": self.custom or None, "recipient": self.sent_to})

    def as_error(self) -> SMSError:
        """Return the error that is stored in this row, as an exception for the caller to raise."""
        error = error_kind(self.error)(
            code=self.error_code, status=self.error_status, detail=self.error_text
        )
        error.message = self
        return error

    def why_not_resendable(self) -> str:
        """Return the reason, in English, if this message cannot be resent; otherwise return ""."""
        if self.is_from_elsewhere:
            return gettext_noop("It was sent outside this project, which cannot send it again.")
        if self.state == State.UNKNOWN:
            return gettext_noop(
                "Its outcome is unknown: settle it first, as it may have been sent."
            )
        if self.dry_run:
            return gettext_noop("It is a dry run: write a new message instead.")
        if self.state not in RESENDABLE:
            return STILL_UNDER_WAY
        if hasattr(self, "resent_as"):
            return RESENT_ALREADY
        if self.scrubbed:
            return gettext_noop("Its text was deleted.")
        refused = issubclass(error_kind(self.error), ContentRefused)
        if refused or self.blocklisted or self.penalty is not None:
            return gettext_noop("Its content was refused: write another text.")
        return ""

    @classmethod
    def invalid(cls, error: InvalidSMS, **columns: Any) -> Message:
        """Return an unsaved FAILED row for an invalid message."""
        now = timezone.now()
        return cls(
            state=State.FAILED, expires_at=now, finished_at=now, **columns, **error_columns(error)
        )

    # Moves. They change the row and not this instance: read the row again to see its new state.

    def accept(self, result: SendResult) -> Outcome:
        """Store the response in which the provider accepted this message. Return the outcome."""
        rows = self._rows()
        outcome = rows.accept(result, Cause.EVIDENCE, otherwise=State.NEW)
        if outcome is not Outcome.MISMATCH:
            return outcome
        if overrule_callbacks(self, result):  # see Note [Whose id it is]
            return Outcome.MOVED
        # Another row has this provider id, so record the acceptance without the id.
        return rows.accept(result.nameless(), Cause.EVIDENCE, otherwise=State.NEW)

    def fail(
        self,
        error: SMSError,
        *,
        token: UUID | None = None,
        cause: Cause = Cause.SENDING,
        **changes: Any,
    ) -> bool:
        """Store an error. Make the row UNKNOWN if the message may have been sent, else FAILED.

        With `token`, change the row only if its lease has this token. Return True if it changed.
        """
        return self._fail(error, cause, Q(lease_token=token) if token else Q(), changes)

    def fail_queued(self, error: SMSError, where: Q) -> bool:
        """Make this row FAILED with an error, if it is still QUEUED and meets `where`."""
        return self._fail(error, Cause.SENDING, Q(where, state=State.QUEUED), {})

    def fail_late(self, error: SMSError, **changes: Any) -> bool:
        """Make this row FAILED with an error that came after `abandon()` made the row UNKNOWN.

        Return False, and change nothing, if the message may have been sent in spite of the error,
        or if another attempt has begun.
        """
        # Not if another attempt has begun since: the error says nothing about that one.
        lost = Q(error_code=WORKER_LOST, attempts=self.attempts)
        return self._fail(error, Cause.ANSWER, lost, changes)

    def requeue(self, **changes: Any) -> bool:
        """Make a FAILED row QUEUED again, because `send_sms` was called again with its key.

        Return False if the error of the row does not allow a retry, if the message was resent, or
        if the row changed after `self` was read. `changes` has new values of `expires_at` and
        `next_attempt_at`, and also the text if the row's text was deleted.
        """
        resent = Message.objects.using(self._state.db).filter(resend_of=OuterRef("pk"))
        return self._rows().advance(
            State.QUEUED,
            Cause.KEY,
            # Not if the row has changed since it was read: it may be erased, or resent.
            where=certainly_not_sent() & Q(updated_at=self.updated_at) & ~Q(Exists(resent)),
            scrubbed=False,
            **changes,
            **NO_ERROR,
        )

    @property
    def newest(self) -> Message:
        """The last row in the chain of resends that begins with this row."""
        row = self
        while hasattr(row, "resent_as"):
            row = row.resent_as
        return row

    def _fail(self, error: SMSError, cause: Cause, where: Q, changes: dict[str, Any]) -> bool:
        noted = error_columns(error)
        kind = Event.Kind.ATTEMPT
        return self._move(end_of(self, error), cause, where, noted | changes, kind, noted)
