"""Admission: fail or postpone the rows that a suspension, a failed preflight or a quota stops.

A worker asks here before each block that it sends. So a suspension that a person or another
process has just made stops every worker from its next block on.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from ..backends.base import BaseSMSBackend
from ..clock import database_now
from ..exceptions import (
    AccountBlocklisted,
    ContentRefused,
    InsufficientCredit,
    InvalidToken,
    SMSError,
    SMSUnavailable,
)
from ..models import Message, MessageQuerySet, Suspension
from ..models.lease import Lease
from ..models.queryset import CLAIM_ORDER, error_columns
from .limits import Quotas, cost_nothing, has_limits
from .preflight import Preflights
from .retry import FIRST_DELAY_SECONDS, retry_at
from .threads import MessageResult


class Admission:
    """Decides which of one worker's leased rows may leave.

    Attributes:
        inline: a caller waits for the outcome, so a row that is stopped is FAILED, not QUEUED.
        errors: the errors of rows that were stopped, by primary key.
    """

    def __init__(
        self,
        backend: BaseSMSBackend,
        rows: MessageQuerySet,
        *,
        inline: bool,
        errors: dict[int, SMSError],
    ) -> None:
        self.backend, self.rows, self.using = backend, rows, rows.db
        self.inline, self.errors = inline, errors
        self.quotas = Quotas(backend, rows.db)
        self._preflights = Preflights(backend, rows.db)
        self._need_preflight: set[int] = set()
        self._suspensions: list[Suspension] = []

    def add(self, primary_keys: Sequence[int]) -> None:
        """Note which of these leased rows need a preflight."""
        if self.backend.supports_dry_run and primary_keys:
            rows = self.rows.filter(pk__in=primary_keys, preflight=True, dry_run=False)
            self._need_preflight.update(rows.values_list("pk", flat=True))

    def admit(self, block: Sequence[int], lease: Lease) -> bool:
        """Fail or postpone the rows of a block that a suspension or a failed preflight stops.

        Return False if dry runs were made, or need a fresh lease: time has passed, so the caller
        must ask again for the same block.
        """
        self._stop_suspended(block, lease)
        if self._run_preflights([pk for pk in block if pk in self._need_preflight], lease):
            return False
        self._need_preflight.difference_update(block)
        return True

    def reserve_quotas(self, block: Sequence[int], lease: Lease) -> None:
        """Count the rows of a block, and fail or postpone those that no quota is left for."""
        if not has_limits(self.backend):
            return
        now = database_now(self.using)
        for message, cap in self.quotas.reserve(self._ours(block, lease, dry_run=False)):
            self._stop(message, cap.as_error(now), lease, cap.ends if cap.is_daily else None)

    def finish(self, results: Sequence[MessageResult]) -> None:
        """Settle the quotas of these messages, and lift pauses that were over if one was accepted.

        A pause is lifted no earlier, because the next one is to be longer if the cause lasts.
        """
        self.quotas.release(each.message.pk for each in results if cost_nothing(each.error))
        self.quotas.spend(each.message.pk for each in results)
        over = [one.pk for one in self._suspensions if one.until is not None]
        if over and any(each.error is None for each in results):
            pauses = Suspension.objects.using(self.using).filter(pk__in=over)
            pauses.filter(until__lte=database_now(self.using)).delete()  # none imposed since

    @property
    def is_suspended(self) -> bool:
        """Whether the whole alias is suspended."""
        return any(one.scope == "alias" for one in self._active_suspensions())

    def _stop_suspended(self, block: Sequence[int], lease: Lease) -> None:
        active = self._active_suspensions()
        for message in self._ours(block, lease) if active else ():
            for suspension in active:
                if suspension.covers(batch=message.batch, text=message.fingerprint):
                    self._stop_by(suspension, message, lease)
                    break

    def _active_suspensions(self) -> list[Suspension]:
        known = Suspension.objects.using(self.using)
        self._suspensions = list(known.of(self.backend.alias, self.backend.environment))
        if not self._suspensions:
            return []
        now = database_now(self.using)
        active = [one for one in self._suspensions if one.until is None or one.until > now]
        # A suspension that ends a row for good goes before one that may be over in a minute.
        return sorted(active, key=lambda one: one.scope == "alias")

    def _stop_by(self, suspension: Suspension, message: Message, lease: Lease) -> None:
        if suspension.is_stop:
            row = self.rows.filter(pk=message.pk)
            row.cancel(by=suspension.created_by, reason=suspension.reason)
            return
        error = suspension.as_error()
        again = database_now(self.using) + timedelta(seconds=FIRST_DELAY_SECONDS)
        is_final = isinstance(error, ContentRefused)
        self._stop(message, error, lease, None if is_final else suspension.until or again)

    def _run_preflights(self, block: Sequence[int], lease: Lease) -> bool:
        """Fail or postpone rows whose preflight failed; return whether `admit` must begin again."""
        messages = self._ours(block, lease) if block else []
        if not messages:
            return False
        outcomes = self._preflights.run(messages, lease.deadline)
        for message, error in outcomes:
            suspend_after(message, error, self.using)
        for message in messages:
            error = self._preflights.verdict(message)
            if error is not None:
                may_wait = isinstance(error, SMSUnavailable)
                again = retry_at(message, error, self.using) if may_wait else None
                self._stop(message, error, lease, again)
        return bool(outcomes) or lease.is_half_gone

    def _ours(self, block: Sequence[int], lease: Lease, **where: bool) -> list[Message]:
        """Return the rows of the block that are still leased; the claim ends expired ones."""
        ours = self.rows.queued().filter(pk__in=block, lease_token=lease.token, **where)
        messages = list(ours.order_by(*CLAIM_ORDER))
        if not messages:
            return []
        now = database_now(self.using)
        return [message for message in messages if message.expires_at > now]

    def _stop(
        self, message: Message, error: SMSError, lease: Lease, again: datetime | None
    ) -> None:
        """Postpone a row, or fail it if a caller waits or it may not be tried again."""
        if self.inline or again is None:
            self.errors[message.pk] = error
            message.fail(error, token=lease.token)
            return
        self.rows.queued().filter(pk=message.pk, lease_token=lease.token).update(
            # Not later than it expires, so that the next look at the row ends it in time.
            next_attempt_at=min(again, message.expires_at),
            lease_token=None,
            lease_until=None,
            **error_columns(error),
        )


def suspend_after(message: Message, error: SMSError | None, using: str) -> None:
    """Suspend the alias or the text if this error says that none of it can be sent."""
    if isinstance(error, AccountBlocklisted | InvalidToken | InsufficientCredit):
        text = ""
    elif isinstance(error, ContentRefused):
        text = message.fingerprint
    else:
        return
    Suspension.objects.using(using).impose(message.alias, message.environment, error, text)
