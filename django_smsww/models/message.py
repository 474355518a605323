"""Message: one text to one recipient, from the call that asks for it to its delivery."""

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
from .indexes import ProvenIndex
from .origin import Origin
from .queryset import (
    NO_ERROR,
    WORKER_LOST,
    MessageQuerySet,
    certainly_not_sent,
    error_columns,
)
from .settlement import Settlement
from .transitions import end_of, overrule_callbacks

if TYPE_CHECKING:
    from decimal import Decimal

    from .fields import Column

# Each field of an SMS has a column of the same name. No backend needs these of them.
_ROW_FIELDS = {"key", "batch", "send_at", "expires_at", "priority"}
_SENT_FIELDS = [each.name for each in fields(SMS) if each.name not in _ROW_FIELDS]
RESENT_ALREADY = gettext_noop("It was resent already: resend the newest of the chain.")
STILL_UNDER_WAY = gettext_noop("It is still under way.")
MONEY: dict[str, Any] = {"max_digits": 12, "decimal_places": 6, "null": True, "blank": True}


def fingerprint(body: str) -> str:
    """Return a digest of a text, by which we recognise it after we have deleted it."""
    return salted_hmac("django_smsww.fingerprint", body, algorithm="sha256").hexdigest()


class Message(Settlement):
    """One message to one recipient. The row exists before its request leaves."""

    reference: Column[UUID] = models.UUIDField(
        _("reference"), unique=True, default=uuid4, editable=False
    )
    key: Column[str | None] = ExactCharField(_("key"), max_length=255, null=True, blank=True)
    alias: Column[str] = models.CharField(_("alias"), max_length=64)
    environment: Column[str] = models.CharField(_("environment"), max_length=64, blank=True)
    origin: Column[str] = models.CharField(
        _("origin"), max_length=16, choices=Origin.choices, default=Origin.HERE, editable=False
    )
    batch: Column[UUID | None] = models.UUIDField(_("batch"), null=True, blank=True)
    tag: Column[str] = models.CharField(_("tag"), max_length=64, blank=True)
    custom: Column[Any] = models.JSONField(_("custom data"), default=dict, blank=True)
    created_by: Column[Any] = user_field(
        _("created by"),
        db_index=False,  # smsww_message_user
    )
    resend_of: Column[Message | None] = models.OneToOneField(
        "self",
        models.SET_NULL,
        verbose_name=_("resend of"),
        null=True,
        blank=True,
        related_name="resent_as",
    )

    recipient: Column[str] = models.CharField(_("recipient"), max_length=32)
    recipient_reversed: Column[str] = ReversedDigitsField(
        _("recipient, from its end"), of="recipient"
    )
    redirected_to: Column[str | None] = models.CharField(
        _("redirected to"), max_length=32, null=True, blank=True
    )
    sender: Column[str] = models.CharField(_("sender"), max_length=32, blank=True)
    body: Column[str] = models.TextField(_("text"), blank=True)
    fingerprint: Column[str] = models.CharField(_("fingerprint"), max_length=64, editable=False)
    sensitive: Column[bool] = models.BooleanField(_("sensitive"), default=False)
    scrubbed: Column[bool] = models.BooleanField(_("scrubbed"), default=False)
    encoding: Column[str] = models.CharField(_("encoding"), max_length=8, blank=True)
    characters: Column[int | None] = models.PositiveIntegerField(
        _("characters"), null=True, blank=True
    )
    segments: Column[int | None] = models.PositiveSmallIntegerField(
        _("segments"), null=True, blank=True
    )
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
        _("HTTP status"), null=True, blank=True
    )
    error_text: Column[str] = models.CharField(_("error text"), max_length=500, blank=True)

    provider_id: Column[str | None] = ExactCharField(
        _("provider id"), max_length=64, null=True, blank=True
    )
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
    send_at: Column[datetime | None] = models.DateTimeField(_("send at"), null=True, blank=True)
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
    claimed_at: Column[datetime | None] = models.DateTimeField(
        _("handed over at"), null=True, blank=True
    )
    sent_at: Column[datetime | None] = models.DateTimeField(_("sent at"), null=True, blank=True)
    delivered_at: Column[datetime | None] = models.DateTimeField(
        _("delivered at"), null=True, blank=True
    )
    finished_at: Column[datetime | None] = models.DateTimeField(
        _("finished at"), null=True, blank=True
    )
    checked_at: Column[datetime | None] = models.DateTimeField(
        _("looked up at"), null=True, blank=True
    )
    provider_updated_at: Column[datetime | None] = models.DateTimeField(
        _("updated by provider at"), null=True, blank=True
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
            ("refresh_message", _("Can look messages up at the provider")),
            ("cancel_message", _("Can cancel queued messages")),
            ("settle_message", _("Can settle messages whose outcome is unknown")),
            ("pause_message", _("Can pause and resume sending")),
            ("export_message", _("Can export messages")),
            ("view_message_costs", _("Can see costs")),
            ("view_message_content", _("Can see numbers and texts")),
        ]
        # The looked-up column comes first, so that the index behind the constraint finds it. NULL
        # stands for "none" in both: NULLs are not compared, and two "" would be equal.
        constraints = [
            models.UniqueConstraint(fields=["key", "alias", "dry_run"], name="smsww_message_key"),
            models.UniqueConstraint(
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
            models.Index(
                fields=["lease_token"],
                name="smsww_message_lease",
                condition=Q(lease_token__isnull=False),
            ),
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
            models.Index(
                fields=["batch"], name="smsww_message_batched", condition=Q(batch__isnull=False)
            ),
            models.Index(
                fields=["created_by"],
                name="smsww_message_user",
                condition=Q(created_by__isnull=False),
            ),
            models.Index(fields=["recipient", "-id"], name="smsww_message_recipient"),
            models.Index(fields=["recipient_reversed"], name="smsww_message_ending"),
            models.Index(fields=["created_at"], name="smsww_message_created"),
            models.Index(fields=["-id"], name="smsww_message_dry", condition=Q(dry_run=True)),
            models.Index(
                fields=["key"], name="smsww_message_named", condition=Q(key__isnull=False)
            ),
            models.Index(
                fields=["redirected_to"],
                name="smsww_message_redirected",
                condition=Q(redirected_to__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return str(self.reference)

    @property
    def is_final(self) -> bool:
        """Whether no callback can move it any more."""
        return self.state in FINAL

    @property
    def is_from_elsewhere(self) -> bool:
        """Whether another sender of the account sent it, and not this project."""
        return self.origin == Origin.ELSEWHERE

    @property
    def is_accepted(self) -> bool:
        """Whether the provider has it, delivered or not."""
        return self.state in PROVIDER

    @property
    def sent_to(self) -> str:
        """The number that gets it: the recipient, unless `redirect_to` names another one."""
        return self.redirected_to or self.recipient

    def as_sms(self) -> SMS:
        """Return the SMS that a backend sends for this row; its number may be redirected."""
        values = {name: getattr(self, name) for name in _SENT_FIELDS}
        return SMS(**values | {"custom": self.custom or None, "recipient": self.sent_to})

    def as_error(self) -> SMSError:
        """Return the error that ended this row, for a caller to raise."""
        error = error_kind(self.error)(
            code=self.error_code, status=self.error_status, detail=self.error_text
        )
        error.message = self
        return error

    def why_not_resendable(self) -> str:
        """Return why nobody may send this message once more, or "" for a `resendable()` row.

        The text is English, for InvalidSMS; `gettext` translates it for a page.
        """
        if self.is_from_elsewhere:
            return gettext_noop("It was sent outside this project, which cannot send it again.")
        if self.state == State.UNKNOWN:
            return gettext_noop(
                "Its outcome is unknown: settle it first, as it may have been sent."
            )
        if self.dry_run:
            return gettext_noop("It is a dry run: send it as a message of its own.")
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
        """Return the unsaved FAILED row of a message that is not valid."""
        now = timezone.now()
        return cls(
            state=State.FAILED, expires_at=now, finished_at=now, **columns, **error_columns(error)
        )

    # Moves. They do not change the instance: read the row again to see its new state.

    def accept(self, result: SendResult) -> Outcome:
        """Record the answer by which the provider accepted the message."""
        rows = self._rows()
        outcome = rows.accept(result, Cause.EVIDENCE, otherwise=State.NEW)
        if outcome is not Outcome.MISMATCH:
            return outcome
        if overrule_callbacks(self, result):  # see Note [Whose id it is]
            return Outcome.MOVED
        # Another row has this provider's id. The acceptance counts for more than the id.
        return rows.accept(result.nameless(), Cause.EVIDENCE, otherwise=State.NEW)

    def fail(
        self,
        error: SMSError,
        *,
        token: UUID | None = None,
        cause: Cause = Cause.SENDING,
        **changes: Any,
    ) -> bool:
        """End this row with an error: FAILED, or UNKNOWN if it may have been sent all the same."""
        return self._fail(error, cause, under(token), changes)

    def fail_queued(self, error: SMSError, where: Q) -> bool:
        """End a row with an error, unless a call has begun to send it."""
        return self._fail(error, Cause.SENDING, Q(where, state=State.QUEUED), {})

    def fail_late(self, error: SMSError, **changes: Any) -> bool:
        """End a row with a refusal that came after its worker was believed dead."""
        # Not if another attempt has begun since: nothing is known of that one.
        lost = Q(error_code=WORKER_LOST, attempts=self.attempts)
        return self._fail(error, Cause.ANSWER, lost, changes)

    def requeue(self, **changes: Any) -> bool:
        """Queue a row again that certainly was not sent, because a call repeats its key.

        Args:
            changes: its times, and the columns of the text if the row has forgotten it.
        """
        resent = Message.objects.using(self._state.db).filter(resend_of=OuterRef("pk"))
        return self._rows().advance(
            State.QUEUED,
            Cause.KEY,
            # Not if it has changed since it was read: its number was erased, or it was resent.
            where=certainly_not_sent() & Q(updated_at=self.updated_at) & ~Q(Exists(resent)),
            scrubbed=False,
            **changes,
            **NO_ERROR,
        )

    @property
    def newest(self) -> Message:
        """The newest row of the chain of resends that begins with this row."""
        row = self
        while hasattr(row, "resent_as"):
            row = row.resent_as
        return row

    def _fail(self, error: SMSError, cause: Cause, where: Q, changes: dict[str, Any]) -> bool:
        noted = error_columns(error)
        kind = Event.Kind.ATTEMPT
        return self._move(end_of(self, error), cause, where, noted | changes, kind, noted)


def under(token: UUID | None) -> Q:
    """Return the condition that the row is still under this lease; None means no condition."""
    return Q(lease_token=token) if token else Q()
