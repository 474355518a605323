"""What was heard of a message, and what was tried: rows that are only ever added."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, models, transaction
from django.db.models import F, Subquery
from django.db.models.expressions import RawSQL
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..callbacks.parsing import SignedCallback
from ..sms import SendResult
from ..states import Cause, State
from . import sql as statements

if TYPE_CHECKING:
    from .message import Message
    from .queryset import MessageQuerySet

MAX_CALLBACKS = 100
"""How many different callbacks are kept of one message; the newest counts those beyond."""


class Outcome(models.TextChoices):
    """What hearing from the provider did to a row."""

    MOVED = "moved", _("Moved the state")
    STOOD = "stood", _("The state stood; facts were merged")
    UNKNOWN_WORD = "unknown_word", _("A state that is not known; nothing moved")
    MISMATCH = "mismatch", _("It speaks of another message; nothing moved")
    NO_ROW = "no_row", _("There is no such message here")


class CallbackQuerySet(models.QuerySet["Callback"]):
    """What was heard of messages."""

    def receive(self, callback: SignedCallback) -> Outcome:
        """Move the row that the callback names, if it may move, and keep what was heard."""
        try:
            return self._receive(callback)
        except IntegrityError:
            # Another request was first, with an equal payload or with the provider's id.
            return self._receive(callback)

    def _receive(self, callback: SignedCallback) -> Outcome:
        from .message import Message  # late, because it imports this module

        rows = Message.objects.using(self.db).filter(
            reference=callback.reference, environment=callback.environment
        )
        with transaction.atomic(using=self.db):
            outcome = _apply(rows, callback)
            self._record(rows, callback, outcome)
        return outcome

    def _record(self, rows: MessageQuerySet, callback: SignedCallback, outcome: Outcome) -> None:
        known, digest = self._known(callback.reference), callback.digest
        if digest in known:
            # What it did the first time stands, unless only now it moved the row.
            row = Subquery(rows.values("pk")[:1])
            changes = {"outcome": outcome, "message": row} if outcome is Outcome.MOVED else {}
            self.filter(pk=known[digest])._count(**changes)
        elif len(known) >= MAX_CALLBACKS and outcome is not Outcome.MOVED:
            self.filter(pk=max(known.values()))._count()
        else:
            self._add(rows, callback, outcome, digest)

    def _known(self, reference: UUID) -> dict[str, int]:
        """Return the primary keys of what was heard of a message, by digest."""
        values = {"reference": reference, "source": Callback.Source.CALLBACK}
        return dict(statements.select(Callback, ["digest", "id"], values, self.db))

    def _add(
        self, rows: MessageQuerySet, callback: SignedCallback, outcome: Outcome, digest: str
    ) -> None:
        now = timezone.now()
        values = {
            "message": _key_of(rows, callback),
            "reference": callback.reference,
            "source": Callback.Source.CALLBACK,
            "outcome": outcome,
            "provider_id": callback.result.provider_id,
            "state": callback.result.state,
            "payload": callback.payload,
            "digest": digest,
            "times": 1,
            "received_at": now,
            "last_received_at": now,
        }
        statements.insert(Callback, values, self.db)

    def note_lookup(self, message: Message, result: SendResult, outcome: Outcome) -> None:
        """Keep what the provider's record says of a message, once for each different record."""
        payload = _as_payload(result)
        digest = hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()
        known = self.filter(
            reference=message.reference, source=Callback.Source.LOOKUP, digest=digest
        )
        if known.update(times=F("times") + 1, last_received_at=timezone.now()):
            return
        entry = Callback(
            message=message,
            reference=message.reference,
            source=Callback.Source.LOOKUP,
            outcome=outcome,
            provider_id=result.provider_id,
            state=result.state,
            payload=payload,
            digest=digest,
        )
        # Another run may have been first with an equal one.
        Callback.objects.using(self.db).bulk_create([entry], ignore_conflicts=True)

    def _count(self, **changes: Any) -> None:
        self.update(times=F("times") + 1, last_received_at=timezone.now(), **changes)


def _apply(rows: MessageQuerySet, callback: SignedCallback) -> Outcome:
    """Let the row take what the callback says of it.

    This begins with a write, whatever it does: SQLite refuses a transaction that reads first and
    writes then, if another one has written in between.
    """
    if callback.agrees:
        return rows.accept(callback.result, Cause.EVIDENCE)
    rows.update(reference=callback.reference)
    return Outcome.MISMATCH


def _key_of(rows: MessageQuerySet, callback: SignedCallback) -> RawSQL:
    """Return the primary key of the row that the callback names, as an expression."""
    values = {"reference": callback.reference, "environment": callback.environment}
    return RawSQL(*statements.selection(rows.model, ["id"], values, rows.db))  # noqa: S611


def _as_payload(result: SendResult) -> dict[str, Any]:
    """Return what may be kept of the provider's record: no number, text or custom data."""
    personal = {"recipient", "sender", "body", "custom", "error", "blocklisted_reason"}
    facts = {
        each.name: getattr(result, each.name)
        for each in fields(result)
        if each.name not in personal
    }
    return {
        name: value.isoformat() if isinstance(value, datetime) else str(value)
        for name, value in facts.items()
        if value not in ("", None, False)
    }


class Callback(models.Model):
    """What the provider said of a message: a signed callback, or its answer to a look-up.

    The payload is kept without number, text, one-time code, account name and callback settings.
    """

    class Source(models.TextChoices):
        CALLBACK = "callback", _("Callback")
        LOOKUP = "lookup", _("Look-up")

    message = models.ForeignKey(
        "Message",
        models.CASCADE,
        verbose_name=_("message"),
        related_name="callbacks",
        null=True,
        blank=True,
    )
    reference = models.UUIDField(_("reference"), editable=False)
    source = models.CharField(
        _("source"), max_length=16, choices=Source.choices, default=Source.CALLBACK
    )
    outcome = models.CharField(_("outcome"), max_length=16, choices=Outcome.choices)
    provider_id = models.CharField(_("provider id"), max_length=64, blank=True)
    state = models.CharField(_("state"), max_length=32, blank=True)
    payload = models.JSONField(_("payload"), default=dict)
    digest = models.CharField(_("digest"), max_length=64, editable=False)
    times = models.PositiveIntegerField(_("times received"), default=1)
    received_at = models.DateTimeField(_("received at"), default=timezone.now)
    last_received_at = models.DateTimeField(_("last received at"), default=timezone.now)

    objects = CallbackQuerySet.as_manager()

    class Meta:
        verbose_name = _("callback")
        verbose_name_plural = _("callbacks")
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(
                fields=["reference", "source", "digest"], name="smsww_callback_once"
            ),
        ]
        indexes = [
            models.Index(fields=["received_at"], name="smsww_callback_received"),
        ]

    def __str__(self) -> str:
        return f"{self.state} · {self.reference}"


class Event(models.Model):
    """What we or a person did with a message, where its row alone does not tell."""

    class Kind(models.TextChoices):
        ATTEMPT = "attempt", _("Attempt")
        SETTLED = "settled", _("Settled")
        CANCELLED = "cancelled", _("Cancelled")
        HELD = "held", _("Held after a restore")
        SCRUBBED = "scrubbed", _("Scrubbed")

    message = models.ForeignKey(
        "Message", models.CASCADE, verbose_name=_("message"), related_name="events"
    )
    kind = models.CharField(_("kind"), max_length=16, choices=Kind.choices)
    state = models.CharField(_("state"), max_length=16, choices=State.choices, blank=True)
    error = models.CharField(_("error"), max_length=32, blank=True)
    error_code = models.CharField(_("error code"), max_length=32, blank=True)
    error_status = models.PositiveSmallIntegerField(_("HTTP status"), null=True, blank=True)
    error_text = models.CharField(_("error text"), max_length=500, blank=True)
    reason = models.CharField(_("reason"), max_length=255, blank=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        verbose_name=_("user"),
        null=True,
        blank=True,
        related_name="+",
    )
    created_at = models.DateTimeField(_("at"), default=timezone.now)

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.get_kind_display()} · {self.message_id}"
