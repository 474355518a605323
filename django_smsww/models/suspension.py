"""Suspension: a pause of an alias, of one batch or of one text."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation.trans_null import gettext_noop

from ..clock import database_now
from ..exceptions import (
    ACCOUNT_ERRORS,
    AccessRefused,
    AccountBlocklisted,
    ContentRefused,
    SMSError,
    SMSUnavailable,
    error_kind,
)
from .fields import stored_user, user_field

FIRST_SECONDS = 60
LONGEST_SECONDS = 3600
LONGEST_ACCESS_SECONDS = 300
"""The longest pause if the gateway refuses access, which may be the fault of one message."""

FAILURES = 5
"""After so many messages in a row that found the gateway unavailable, the alias pauses."""

PROBE_SECONDS = 60
"""How long other processes wait for the result of the probe."""

STOPPED = "stopped"
"""The code of the suspension of a batch that a person stopped for good."""

SCOPES = {"alias": _("everything"), "batch": _("one batch"), "text": _("one text")}


class SuspensionQuerySet(models.QuerySet["Suspension"]):
    """The suspensions; each worker reads them before each block that it sends."""

    def of(self, alias: str, environment: str) -> SuspensionQuerySet:
        return self.filter(alias=alias, environment=environment)

    def active(self, now: datetime) -> SuspensionQuerySet:
        """Suspensions that are not over. One without `until` lasts until a person resumes."""
        return self.pauses().filter(models.Q(until=None) | models.Q(until__gt=now))

    def pauses(self) -> SuspensionQuerySet:
        """Suspensions, without those that only count failures so far."""
        return self.filter(times__gt=0)

    def impose(self, alias: str, environment: str, error: SMSError, text: str = "") -> bool:
        """Suspend the alias because of this error, or the text if the error is about that.

        A refused token or an empty wallet pauses the alias for a minute, and for twice as long
        each time that it happens again afterwards. A blocklisted account pauses the alias, and
        forbidden content the text, until a person resumes them.

        Return whether the suspension is new: requests that fail together are one reason to pause.
        """
        scope = f"text:{text}" if isinstance(error, ContentRefused) else "alias"
        columns = _columns(error)
        while True:
            known, is_new = self.get_or_create(
                alias=alias,
                environment=environment,
                scope=scope,
                defaults=columns | {"until": _until(error, 1, database_now(self.db))},
            )
            row = self.filter(pk=known.pk)
            if is_new or row._prolong(error, known.times + 1, columns):
                return True
            # A worker deletes one that is over after its next success, maybe in this very moment.
            if row.exists():
                return False

    def _prolong(self, error: SMSError, times: int, columns: dict[str, Any]) -> int:
        now = database_now(self.db)
        until = _until(error, times, now)
        if until is None:
            timed = self.exclude(until=None)
            return timed.update(until=None, times=times, is_probed=False, **columns)
        # No error shortens a suspension that lasts until a person resumes.
        return self.over(now).update(until=until, times=times, is_probed=False, **columns)

    def count_failures(self, alias: str, environment: str, error: SMSError, count: int) -> bool:
        """Count messages that found the gateway unavailable; pause the alias after `FAILURES`.

        A success deletes the count. Return whether the alias pauses because of this.
        """
        named = {"alias": alias, "environment": environment, "scope": "alias"}
        row = self.filter(**named)
        first = self.model(**named, times=0, until=database_now(self.db), **_columns(error))
        if not row.exists():
            self.bulk_create([first], ignore_conflicts=True)
        row.update(failures=models.F("failures") + count)
        # Where the alias paused before, one failed probe is enough.
        is_enough = row.filter(models.Q(failures__gte=FAILURES) | models.Q(times__gt=0)).exists()
        return is_enough and self.impose(alias, environment, error)

    # The probe, see Note [One probe] in worker/recovery.py

    def over(self, now: datetime) -> SuspensionQuerySet:
        """Suspensions whose time is over, and those that a probe is testing right now."""
        return self.filter(models.Q(until__lte=now) | models.Q(is_probed=True))

    def win_probe(self, now: datetime) -> bool:
        """Return whether the caller may send the probe, the one message that tests the alias."""
        until = now + timedelta(seconds=PROBE_SECONDS)
        return bool(self.pauses().filter(until__lte=now).update(until=until, is_probed=True))

    def give_probe_back(self, now: datetime) -> None:
        """Release the probe, because its message did not leave: another process may probe now."""
        self.filter(is_probed=True).update(until=now, is_probed=False)

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
        """Suspend a scope by hand, until a person resumes it.

        Args:
            scope: "alias", "batch:UUID" or "text:FINGERPRINT".
            code: the error code of the rows that fail because of the suspension.
        """
        columns = {
            "until": None,
            "times": 1,
            "is_probed": False,
            "error": "",
            "error_code": code,
            "reason": reason[:255],
            "created_by": stored_user(by),
            "created_at": timezone.now(),
        }
        known = self.of(alias, environment).filter(scope=scope)
        if not known.update(**columns):
            first = self.model(alias=alias, environment=environment, scope=scope, **columns)
            self.bulk_create([first], ignore_conflicts=True)
        return known.get()

    def resume(self, alias: str, environment: str, *, scope: str = "alias") -> bool:
        """Lift a suspension, made by a person or by an error; return if there was one."""
        return bool(self.of(alias, environment).pauses().filter(scope=scope).delete()[0])


def _columns(error: SMSError) -> dict[str, Any]:
    return {
        "error": type(error).__name__,
        "error_code": error.code[:32],
        "reason": f"HTTP {error.status}" if error.status else "",
    }


def _until(error: SMSError, times: int, now: datetime) -> datetime | None:
    if isinstance(error, AccountBlocklisted | ContentRefused):
        return None
    doubled = FIRST_SECONDS * 2 ** min(times - 1, 10)
    seconds = max(min(doubled, _longest(error)), min(error.retry_after or 0, LONGEST_SECONDS))
    return now + timedelta(seconds=seconds)


def _longest(error: SMSError) -> int:
    """Return the longest pause; it is short for outages, whose end we want to notice soon."""
    if isinstance(error, AccessRefused):
        return LONGEST_ACCESS_SECONDS
    return LONGEST_SECONDS if isinstance(error, ACCOUNT_ERRORS) else FIRST_SECONDS


class Suspension(models.Model):
    """A pause of an alias, of one of its batches or of one text: their messages do not leave."""

    alias = models.CharField(_("alias"), max_length=64)
    environment = models.CharField(_("environment"), max_length=64, blank=True)
    scope = models.CharField(_("scope"), max_length=80, default="alias")
    error = models.CharField(_("error"), max_length=32, blank=True)
    error_code = models.CharField(_("error code"), max_length=32, blank=True)
    reason = models.CharField(_("reason"), max_length=255, blank=True)
    times = models.PositiveIntegerField(_("suspensions in a row"), default=1)
    failures = models.PositiveIntegerField(_("failures in a row"), default=0)
    is_probed = models.BooleanField(_("a test message is under way"), default=False)
    until = models.DateTimeField(_("until"), null=True, blank=True)
    created_at = models.DateTimeField(_("since"), default=timezone.now)
    created_by = user_field(_("by"))

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
        """The scope in words, without the fingerprint of a text."""
        kind = self.scope.partition(":")[0]
        return str(SCOPES.get(kind, kind))

    def covers(self, *, batch: UUID | None, text: str) -> bool:
        """Tell whether a message of this batch and with this fingerprint of its text must wait."""
        return self.scope in ("alias", f"batch:{batch}", f"text:{text}")

    def needs_probe(self, now: datetime) -> bool:
        """Whether the alias paused, and no message has proved yet that it can send again."""
        is_over = self.until is not None and self.until <= now
        return is_over and self.scope == "alias" and self.times > 0

    @property
    def is_stop(self) -> bool:
        """Whether a person stopped the scope for good, so that its messages are cancelled."""
        return self.error_code == STOPPED and not self.error

    def as_error(self) -> SMSError:
        """Return the error of a message that was not sent because of this suspension."""
        kind = error_kind(self.error) if self.error else SMSUnavailable
        # The class is that of the cause, for callers; the code says that no request was made.
        code = self.error_code if issubclass(kind, ContentRefused) else "suspended"
        return kind(
            gettext_noop("Sending is suspended; nothing was sent"),
            code=code,
            detail=self.reason,
            retry_after=self._seconds_left(),
        )

    def _seconds_left(self) -> float | None:
        if self.until is None:
            return None
        return max(0.0, (self.until - timezone.now()).total_seconds())
