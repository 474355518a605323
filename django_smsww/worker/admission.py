"""What keeps a queued row back at the last moment: suspensions, a preflight, a cap.

A worker asks here before each block that it sends, so what one process finds out, or a person
decides, holds for every sender in every process from its next block on.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
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
from .limits import Allowance, cost_nothing, has_limits
from .preflight import Rehearsal

FIRST_DELAY = 30
LONGEST_DELAY = 3600


@dataclass
class Gate:
    """Where one worker's rows wait until they may leave.

    Attributes:
        rows: those of this backend, in this deployment.
        inline: somebody waits for the outcome, so what is kept back is FAILED instead of QUEUED.
        errors: where the errors of rows that are kept back are noted, by primary key.
        unrehearsed: the rows that are to have a preflight, and were not let through yet.
    """

    backend: BaseSMSBackend
    rows: MessageQuerySet
    inline: bool
    errors: dict[int, SMSError]
    suspensions: list[Suspension] = field(default_factory=list)
    unrehearsed: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.using = self.rows.db
        self.rehearsal = Rehearsal(self.backend, self.using)
        self.allowance = Allowance(self.backend, self.using)

    def expect(self, primary_keys: Sequence[int]) -> None:
        """Find out which of these rows, that were leased, are to have a preflight."""
        if self.backend.supports_dry_run and primary_keys:
            rows = self.rows.filter(pk__in=primary_keys, preflight=True, dry_run=False)
            self.unrehearsed.update(rows.values_list("pk", flat=True))

    def hold(self, block: Sequence[int], lease: Lease) -> bool:
        """Take out of the block what must not leave now.

        Return whether requests were made for that, or are still to be: then time has passed, and
        what holds back must be looked at again.
        """
        self._hold_suspended(block, lease)
        if self._rehearse([pk for pk in block if pk in self.unrehearsed], lease):
            return True
        self.unrehearsed.difference_update(block)
        return False

    def count(self, block: Sequence[int], lease: Lease) -> None:
        """Take out of the block what is beyond a cap, and count the rest."""
        if not has_limits(self.backend):
            return
        now = database_now(self.using)
        for message, cap in self.allowance.admit(self._waiting(block, lease, dry_run=False)):
            again = cap.ends if cap.is_daily else None
            self._keep_back(message, cap.as_error(now), lease, again)

    def settle(self, outcomes: Iterable[tuple[int, SMSError | None]]) -> None:
        """Let it be known what came of messages that were counted, by their primary keys."""
        known = list(outcomes)
        self.allowance.give_back(pk for pk, error in known if cost_nothing(error))
        self.allowance.use(pk for pk, _error in known)
        if any(error is None for _pk, error in known):
            self.forgive()

    def _waiting(self, block: Sequence[int], lease: Lease, **where: bool) -> list[Message]:
        """Return the rows of the block that are still ours; the claim settles those too late."""
        ours = self.rows.queued().filter(pk__in=block, lease_token=lease.token, **where)
        messages = list(ours.order_by(*CLAIM_ORDER))
        if not messages:
            return []
        now = database_now(self.using)
        return [message for message in messages if message.expires_at > now]

    def _keep_back(
        self, message: Message, error: SMSError, lease: Lease, again: datetime | None
    ) -> None:
        """Leave a row for later; or end it, if somebody waits or there is no later for it."""
        if self.inline or again is None:
            self.errors[message.pk] = error
            message.fail(error, token=lease.token)
            return
        self.rows.queued().filter(pk=message.pk, lease_token=lease.token).update(
            # Not later than it expires, so that the next look at it says so.
            next_attempt_at=min(again, message.expires_at),
            lease_token=None,
            lease_until=None,
            **error_columns(error),
        )

    # Suspensions

    @property
    def is_shut(self) -> bool:
        """Whether nothing of this alias may leave now."""
        self._read_suspensions()
        return any(one.scope == "alias" for one in self._active())

    def suspend(self, message: Message, error: SMSError) -> None:
        """Hold back from now on what this error says nothing can be sent of."""
        if isinstance(error, AccountBlocklisted | InvalidToken | InsufficientCredit):
            text = ""
        elif isinstance(error, ContentRefused):
            text = message.fingerprint
        else:
            return
        Suspension.objects.using(self.using).impose(message.alias, message.environment, error, text)

    def forgive(self) -> None:
        """Forget the pauses that had run out, now that a message was accepted."""
        over = [one.pk for one in self.suspensions if one.until is not None]
        if over:
            now = database_now(self.using)
            pauses = Suspension.objects.using(self.using).filter(pk__in=over)
            pauses.filter(until__lte=now).delete()  # but none that was imposed since

    def _hold_suspended(self, block: Sequence[int], lease: Lease) -> None:
        self._read_suspensions()
        active = self._active()
        for message in self._waiting(block, lease) if active else ():
            for suspension in active:
                if suspension.covers(batch=message.batch, text=message.fingerprint):
                    self._hold(message, suspension, lease)
                    break

    def _read_suspensions(self) -> None:
        known = Suspension.objects.using(self.using)
        self.suspensions = list(known.of(self.backend.alias, self.backend.environment))

    def _active(self) -> list[Suspension]:
        if not self.suspensions:
            return []
        now = database_now(self.using)
        active = [one for one in self.suspensions if one.until is None or one.until > now]
        # What ends a row for good goes before what may be over in a minute.
        return sorted(active, key=lambda one: one.scope == "alias")

    def _hold(self, message: Message, suspension: Suspension, lease: Lease) -> None:
        if suspension.is_stop:
            row = self.rows.filter(pk=message.pk)
            row.cancel(by=suspension.created_by, reason=suspension.reason)
            return
        error = suspension.as_error()
        again = suspension.until or database_now(self.using) + timedelta(seconds=FIRST_DELAY)
        is_over = isinstance(error, ContentRefused)
        self._keep_back(message, error, lease, None if is_over else again)

    # Preflights

    def _rehearse(self, block: Sequence[int], lease: Lease) -> bool:
        """Take out of the block what a preflight keeps back; say whether requests were made.

        Or whether there was no time for any: then they are made under the next lease.
        """
        messages = self._waiting(block, lease) if block else []
        if not messages:
            return False
        outcomes = self.rehearsal.ask(messages, lease.deadline)
        for message, error in outcomes:
            if error is not None:
                self.suspend(message, error)
        self._keep_back_groups(messages, lease)
        return bool(outcomes) or lease.is_half_gone

    def _keep_back_groups(self, messages: Iterable[Message], lease: Lease) -> None:
        for message in messages:
            error = self.rehearsal.verdict(message)
            if isinstance(error, SMSUnavailable):
                again = database_now(self.using) + delay(message, error)
                self._keep_back(message, error, lease, again)
            elif error is not None:
                self._keep_back(message, error, lease, None)


def delay(message: Message, error: SMSError) -> timedelta:
    """Return how long to wait: as the provider asks, else twice as long each time, spread out."""
    doubled = min(FIRST_DELAY * 2 ** max(message.attempts - 1, 0), LONGEST_DELAY)
    spread = doubled * random.uniform(0.5, 1.5)  # noqa: S311 - no secret
    return timedelta(seconds=max(error.retry_after or 0, spread))
