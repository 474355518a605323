"""Suspension: a pause of an alias, of one batch or of one text."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation.trans_null import gettext_noop

from ..clock import database_now
from ..exceptions import (
    AccountBlocklisted,
    ContentRefused,
    SMSError,
    SMSUnavailable,
    error_kind,
)

FIRST_PAUSE = 60
LONGEST_PAUSE = 3600
STOPPED = "stopped"
"""The code of a suspension of a batch that a person stopped for good."""

SCOPES = {"alias": _("everything"), "batch": _("one batch"), "text": _("one text")}


class SuspensionQuerySet(models.QuerySet["Suspension"]):
    """What holds sending back; every worker reads it before each block that it sends."""

    def of(self, alias: str, environment: str) -> SuspensionQuerySet:
        return self.filter(alias=alias, environment=environment)

    def active(self, now: datetime) -> SuspensionQuerySet:
        """Those that hold sending back now; without `until` it is until a person resumes."""
        return self.filter(models.Q(until=None) | models.Q(until__gt=now))

    def impose(self, alias: str, environment: str, error: SMSError, text: str = "") -> None:
        """Hold back what this error says nothing can be sent of for now.

        A refused token or an empty wallet pauses the alias for a minute, and twice as long each
        time it happens again when that is over; a blocklisted account until a person resumes it;
        forbidden content stops all messages of the same text.
        """
        scope = f"text:{text}" if isinstance(error, ContentRefused) else "alias"
        columns = {"error": type(error).__name__, "error_code": error.code[:32]}
        while True:
            known, is_new = self.get_or_create(
                alias=alias,
                environment=environment,
                scope=scope,
                defaults=columns | {"until": _until(error, 1, database_now(self.db))},
            )
            row = self.filter(pk=known.pk)
            # It may be forgiven in this very moment, as it had run out.
            if is_new or row._prolong(error, known.times + 1, columns) or row.exists():
                return

    def _prolong(self, error: SMSError, times: int, columns: dict[str, Any]) -> int:
        now = database_now(self.db)
        until = _until(error, times, now)
        if until is None:
            return self.update(until=None, **columns)
        # The requests that were under way together are one reason to pause, not many. And what
        # only a person ends, no error shortens.
        over = self.filter(until__lte=now)
        return over.update(until=until, times=times, **columns)

    def pause(
        self,
        alias: str,
        environment: str,
        *,
        scope: str = "alias",
        reason: str = "",
        code: str = "",
        by: Any = None,
    ) -> Suspension:
        """Hold back by hand whatever is in this scope, until a person resumes it.

        Args:
            scope: "alias", "batch:UUID" or "text:FINGERPRINT".
            code: a word for what holds it back, kept on the rows that fail because of it.
        """
        columns = {
            "until": None,
            "error": "",
            "error_code": code,
            "reason": reason[:255],
            "created_by": by,
            "created_at": timezone.now(),
        }
        known = self.of(alias, environment).filter(scope=scope)
        if not known.update(**columns):
            first = self.model(alias=alias, environment=environment, scope=scope, **columns)
            self.bulk_create([first], ignore_conflicts=True)
        return known.get()

    def resume(self, alias: str, environment: str, *, scope: str = "alias") -> bool:
        """Lift a suspension, whoever imposed it; say whether there was one."""
        return bool(self.of(alias, environment).filter(scope=scope).delete()[0])


def _until(error: SMSError, times: int, now: datetime) -> datetime | None:
    if isinstance(error, AccountBlocklisted | ContentRefused):
        return None
    seconds = min(FIRST_PAUSE * 2 ** min(times - 1, 10), LONGEST_PAUSE)
    return now + timedelta(seconds=seconds)


class Suspension(models.Model):
    """Nothing in its scope is sent: a whole alias, one batch of it, or one text of it."""

    alias = models.CharField(_("alias"), max_length=64)
    environment = models.CharField(_("environment"), max_length=64, blank=True)
    scope = models.CharField(_("scope"), max_length=80, default="alias")
    error = models.CharField(_("error"), max_length=32, blank=True)
    error_code = models.CharField(_("error code"), max_length=32, blank=True)
    reason = models.CharField(_("reason"), max_length=255, blank=True)
    times = models.PositiveIntegerField(_("times in a row"), default=1)
    until = models.DateTimeField(_("until"), null=True, blank=True)
    created_at = models.DateTimeField(_("since"), default=timezone.now)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        verbose_name=_("by"),
        null=True,
        blank=True,
        related_name="+",
    )

    objects = SuspensionQuerySet.as_manager()

    class Meta:
        verbose_name = _("suspension")
        verbose_name_plural = _("suspensions")
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(
                fields=["environment", "alias", "scope"], name="smsww_suspension_scope"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.alias} · {self.held}"

    @property
    def held(self) -> str:
        """What is held back, in words and without the fingerprint of a text."""
        kind = self.scope.partition(":")[0]
        return str(SCOPES.get(kind, kind))

    def holds(self, *, batch: UUID | None, text: str) -> bool:
        """Whether a message of this batch and with this fingerprint of a text is held back."""
        return self.scope in ("alias", f"batch:{batch}", f"text:{text}")

    @property
    def is_stop(self) -> bool:
        """Whether a person gave up what is in its scope, so that it need not wait."""
        return self.error_code == STOPPED and not self.error

    def as_error(self) -> SMSError:
        """Return the error of a message that was not even tried because of this."""
        kind = error_kind(self.error) if self.error else SMSUnavailable
        return kind(
            gettext_noop("Sending is suspended; nothing was sent"),
            code=self.error_code or "suspended",
            detail=self.reason,
            retry_after=self._seconds_left(),
        )

    def _seconds_left(self) -> float | None:
        if self.until is None:
            return None
        return max(0.0, (self.until - timezone.now()).total_seconds())
