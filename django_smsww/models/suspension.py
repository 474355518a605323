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
"""The longest pause after `AccessRefused`. It is short, as other messages may be accepted."""

FAILURES = 5
"""An alias pauses if the gateway was unavailable for this number of consecutive messages."""

PROBE_SECONDS = 60
"""How many seconds a process waits while another process tests a paused alias."""

STOPPED = "stopped"
"""The `error_code` of a suspension with which a person stopped a batch permanently."""

SCOPES = {"alias": _("everything"), "batch": _("one batch"), "text": _("one text")}


class SuspensionQuerySet(models.QuerySet["Suspension"]):
    """The queryset of suspensions. A worker reads the suspensions before it sends messages."""

    def of(self, alias: str, environment: str) -> SuspensionQuerySet:
        return self.filter(alias=alias, environment=environment)

    def active(self, now: datetime) -> SuspensionQuerySet:
        """Return suspensions that have not ended: `until` is in the future, or None for no end."""
        return self.pauses().filter(models.Q(until=None) | models.Q(until__gt=now))

    def pauses(self) -> SuspensionQuerySet:
        """Return the rows that stop messages. A row with `times` 0 only counts failures."""
        return self.filter(times__gt=0)

    def impose(self, alias: str, environment: str, error: SMSError, text: str = "") -> bool:
        """Suspend the alias after this error. After `ContentRefused`, suspend only the text.

        The first pause lasts one minute, or longer if the gateway sent Retry-After. If an error
        comes again after a pause, the next pause is twice as long, up to a limit. If the account is
        blocklisted or the content is forbidden, the suspension lasts until a person lifts it.
        Return False if an earlier suspension stays in force unchanged.

        Args:
            text: the fingerprint of the message's text.
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
            # After a success, a worker deletes a suspension that is over: perhaps just now.
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
        """Add `count` to the `failures` of the alias, because the gateway was unavailable.

        Pause the alias if it now has at least `FAILURES` consecutive failures. One failure is
        enough if the alias was paused before and had no success after that pause. Return True if
        this call paused the alias.
        """
        named = {"alias": alias, "environment": environment, "scope": "alias"}
        row = self.filter(**named)
        first = self.model(**named, times=0, until=database_now(self.db), **_columns(error))
        if not row.exists():
            self.bulk_create([first], ignore_conflicts=True)
        row.update(failures=models.F("failures") + count)
        # If the alias was paused before, one failed probe is enough.
        is_enough = row.filter(models.Q(failures__gte=FAILURES) | models.Q(times__gt=0)).exists()
        return is_enough and self.impose(alias, environment, error)

    # The probe, see Note [One probe] in worker/recovery.py

    def over(self, now: datetime) -> SuspensionQuerySet:
        """Return suspensions whose time is over, and suspensions that a probe is testing now."""
        return self.filter(models.Q(until__lte=now) | models.Q(is_probed=True))

    def win_probe(self, now: datetime) -> bool:
        """Reserve the probe: the one message that tests an alias after a pause.

        Return False if the pause has not ended, or if another process has reserved the probe.
        """
        until = now + timedelta(seconds=PROBE_SECONDS)
        return bool(self.pauses().filter(until__lte=now).update(until=until, is_probed=True))

    def give_probe_back(self, now: datetime) -> None:
        """Let another process test the alias, because the caller's test message was not sent."""
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
        """Suspend an alias, a batch or a text until a person lifts the suspension.

        Args:
            scope: what to suspend: "alias", "batch:UUID" or "text:FINGERPRINT".
            code: `STOPPED` if workers must cancel the messages. With "", the messages wait.
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
        """Lift the suspension of this scope, and return True if there was one."""
        return bool(self.of(alias, environment).pauses().filter(scope=scope).delete()[0])


def _columns(error: SMSError) -> dict[str, Any]:
    return {
        "error": type(error).__name__,
        "error_code": error.code[:32],
        "reason": f"HTTP {error.status}" if error.status else "",
    }


def status_in(reason: str) -> int | None:
    """Return the HTTP status in a reason such as "HTTP 402"; None for any other reason."""
    word, _space, number = reason.partition(" ")
    return int(number) if word == "HTTP" and number.isdecimal() else None


def _until(error: SMSError, times: int, now: datetime) -> datetime | None:
    if isinstance(error, AccountBlocklisted | ContentRefused):
        return None
    doubled = FIRST_SECONDS * 2 ** min(times - 1, 10)
    seconds = max(min(doubled, _longest(error)), min(error.retry_after or 0, LONGEST_SECONDS))
    return now + timedelta(seconds=seconds)


def _longest(error: SMSError) -> int:
    """Return the longest pause after this error, in seconds."""
    if isinstance(error, AccessRefused):
        return LONGEST_ACCESS_SECONDS
    return LONGEST_SECONDS if isinstance(error, ACCOUNT_ERRORS) else FIRST_SECONDS


class Suspension(models.Model):
    """A stop of sending, for an alias, for a batch, or for all messages with the same text."""

    alias = models.CharField(_("alias"), max_length=64)
    environment = models.CharField(_("environment"), max_length=64, blank=True)
    scope = models.CharField(_("scope"), max_length=80, default="alias")
    error = models.CharField(_("error"), max_length=32, blank=True)
    error_code = models.CharField(_("error code"), max_length=32, blank=True)
    reason = models.CharField(_("reason"), max_length=255, blank=True)
    times = models.PositiveIntegerField(_("consecutive suspensions"), default=1)
    failures = models.PositiveIntegerField(_("consecutive failures"), default=0)
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
        """The translated name of what is suspended: "everything", "one batch" or "one text"."""
        kind = self.scope.partition(":")[0]
        return str(SCOPES.get(kind, kind))

    @property
    def batch(self) -> str:
        """The UUID of the suspended batch as text, or "" if no batch is suspended."""
        return self.scope.partition("batch:")[2]

    def covers(self, *, batch: UUID | None, text: str) -> bool:
        """Return True if the suspension stops a message of this batch with this fingerprint."""
        return self.scope in ("alias", f"batch:{batch}", f"text:{text}")

    def needs_probe(self, now: datetime) -> bool:
        """Return True if the pause is over, so that one message (the probe) must test the alias."""
        is_over = self.until is not None and self.until <= now
        return is_over and self.scope == "alias" and self.times > 0

    @property
    def is_stop(self) -> bool:
        """Whether a person stopped the messages permanently. If so, workers cancel the messages."""
        return self.error_code == STOPPED and not self.error

    def as_error(self) -> SMSError:
        """Return the error for a message that is not sent because of this suspension."""
        kind = error_kind(self.error) if self.error else SMSUnavailable
        # The class tells callers the cause. The code says that no request was made.
        code = self.error_code if issubclass(kind, ContentRefused) else "suspended"
        text = gettext_noop("Sending is suspended; nothing was sent")
        left = max(0.0, (self.until - timezone.now()).total_seconds()) if self.until else None
        return kind(text, code=code, detail=self.reason, retry_after=left)
