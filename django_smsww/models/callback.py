"""The model `Callback`: a report of the provider about one message, and the report's effect."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..sms import SendResult

if TYPE_CHECKING:
    from .message import Message


class Outcome(models.TextChoices):
    """The effect of a callback or a look-up (see `Callback`) on the row of a message."""

    MOVED = "moved", _("State changed")
    STOOD = "stood", _("State unchanged; other data updated")
    UNKNOWN_WORD = "unknown_word", _("Unknown state; other data updated")
    MISMATCH = "mismatch", _("About another message; this message was not changed")
    NO_ROW = "no_row", _("There is no such message here")


class CallbackQuerySet(models.QuerySet["Callback"]):
    def note_lookup(self, message: Message, result: SendResult, outcome: Outcome) -> None:
        """Store the result of a look-up. If an equal result exists, only add 1 to its `times`."""
        payload = as_payload(result)
        digest = hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()
        known = self.filter(
            reference=message.reference, source=Callback.Source.LOOKUP, digest=digest
        )
        if known.count_again():
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
        # Another process may just have stored an equal record.
        Callback.objects.using(self.db).bulk_create([entry], ignore_conflicts=True)

    def count_again(self, **changes: Any) -> int:
        """Add 1 to `times` of these callbacks, and return the number of these callbacks."""
        return self.update(times=F("times") + 1, last_received_at=timezone.now(), **changes)


def as_payload(result: SendResult) -> dict[str, Any]:
    """Return the provider's record as JSON values, without `error` and without personal data."""
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
    """What the provider said about a message: in an authentic callback, or after a look-up.

    The payload of a callback lacks the fields `message`, `recipient`, `otp`, `username` and
    `callback`. The payload of a look-up has the fields that `as_payload()` returns.
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
