"""Check rows before they are sent. If a row must not be sent now, make it FAILED or CANCELLED, or
postpone it.

A worker makes this check before each block of rows, and reads the suspensions again each time. So
every worker obeys a new suspension from its next block on.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models.expressions import RawSQL

from ..backends.base import BaseSMSBackend
from ..clock import database_now
from ..exceptions import ACCOUNT_ERRORS, ContentRefused, InvalidSMS, SMSError, SMSUnavailable
from ..models import Message, MessageQuerySet, Suspension
from ..models.lease import Lease
from ..models.queryset import CLAIM_ORDER, error_columns
from ..models.sql import expression, select
from ..states import State
from .limits import Quotas, cost_nothing, has_limits
from .preflight import Preflights
from .recovery import Probe, mark_refused, send_soon
from .retry import FIRST_DELAY_SECONDS, is_unavailable, retry_at
from .threads import MessageResult

logger = logging.getLogger("django_smsww")


class Admission:
    """The check that decides which leased rows of one worker may be sent now.

    If `inline` is True, a caller waits. So a row that cannot be sent now becomes FAILED.
    """

    def __init__(
        self,
        backend: BaseSMSBackend,
        rows: MessageQuerySet,
        *,
        inline: bool,
        errors: dict[int, SMSError],
        counts: Counter[tuple[str, str]],
    ) -> None:
        self.backend, self.rows, self.using = backend, rows, rows.db
        self.inline, self.errors, self.counts = inline, errors, counts
        self.quotas = Quotas(backend, rows.db)
        self.probe = Probe(backend.alias, backend.environment, rows.db)
        self._preflights = Preflights(backend, rows.db)
        self._need_preflight: set[int] = set()
        self._suspensions: list[Suspension] = []
        self._must_probe = False

    def add(self, primary_keys: Sequence[int]) -> None:
        """Remember which of these rows need a preflight (a dry run before the real request)."""
        if self.backend.supports_dry_run and primary_keys:
            rows = self.rows.with_keys(primary_keys).filter(preflight=True, dry_run=False)
            self._need_preflight.update(rows.values_list("pk", flat=True))

    def admit(self, block: Sequence[int], lease: Lease) -> Sequence[int]:
        """Stop rows that must not be sent now, and return the primary keys to pass to `claim()`.

        The result may contain stopped rows: `claim()` ignores them, because their lease is gone.
        When a pause is over, the result is at first only the probe (the message that tests the
        alias). The result can be empty, for example if a dry run had to be made first, or if
        another process has the probe. The worker then calls this method again later.
        """
        self._stop_refused(block, lease)
        self._stop_suspended(block, lease)
        block = self._narrowed(block, lease)
        if self._run_preflights([pk for pk in block if pk in self._need_preflight], lease):
            return ()
        self._need_preflight.difference_update(block)
        return block

    def _narrowed(self, block: Sequence[int], lease: Lease) -> Sequence[int]:
        if self.probe.row is None and self._must_probe:
            # Probe with the fewest attempts: a row that failed before may itself be at fault.
            if not (leased := self._unexpired(lease).order_by("attempts", *CLAIM_ORDER)[:1]):
                return block  # all were stopped
            if not self.probe.begin(leased[0]):
                return ()
        return [pk for pk in block if self.probe.row in (None, pk)]

    def reserve_quotas(self, block: Sequence[int], lease: Lease) -> None:
        """Reserve quota for a block. Rows that exceed a quota are postponed or become FAILED."""
        if not has_limits(self.backend):
            return
        now = database_now(self.using)
        for message, cap in self.quotas.reserve(self._ours(block, lease, dry_run=False)):
            self._stop(message, cap.as_error(now), lease, cap.ends if cap.is_daily else None)

    def finish(self, results: Sequence[MessageResult]) -> None:
        """Update quotas and pauses from these results.

        An expired pause is deleted only if a result shows that the gateway works. If an error
        pauses the alias again before such a result, the new pause is longer than the last one, up
        to a limit.
        """
        self.quotas.release(each.message.pk for each in results if cost_nothing(each.error))
        self.quotas.spend(each.message.pk for each in results)
        self.probe.note_results(results)
        over = [one for one in self._suspensions if one.until is not None]
        if over and any(each.proves_service for each in results):
            self._lift(over)

    def _lift(self, over: Sequence[Suspension]) -> None:
        now, known = database_now(self.using), Suspension.objects.using(self.using)
        ended = known.filter(pk__in=[one.pk for one in over]).over(
            now
        )  # not a suspension that was imposed since
        if ended.delete()[0] and any(one.times for one in over):
            send_soon(self.rows, now)
            mark_refused(self.rows)

    @property
    def is_suspended(self) -> bool:
        return any(one.scope == "alias" for one in self._active_suspensions())

    def _stop_refused(self, block: Sequence[int], lease: Lease) -> None:
        """Make rows FAILED if the alias's option `allowed_recipients` excludes their numbers."""
        for message in self._ours(block, lease) if self.backend.is_staging else ():
            try:
                self.backend.check_recipient(message.recipient)
            except InvalidSMS as error:
                self._stop(message, error, lease, None)

    def _stop_suspended(self, block: Sequence[int], lease: Lease) -> None:
        active = self._active_suspensions()
        for message in self._ours(block, lease) if active else ():
            for suspension in active:
                if suspension.covers(batch=message.batch, text=message.fingerprint):
                    self._stop_by(suspension, message, lease)
                    break

    def _active_suspensions(self) -> list[Suspension]:
        self._must_probe, self._suspensions = False, []
        named = {"alias": self.backend.alias, "environment": self.backend.environment}
        if not select(Suspension, ["id"], named, self.using):
            return []
        self._suspensions = list(Suspension.objects.using(self.using).filter(**named))
        now = database_now(self.using)
        self._must_probe = any(one.needs_probe(now) for one in self._suspensions)
        is_ours = self.probe.row is not None
        active = [
            one
            for one in self._suspensions
            if one.until is None or (one.until > now and not (one.is_probed and is_ours))
        ]
        # A suspension that fails rows for good comes before one that may be over in a minute.
        return sorted(active, key=lambda one: one.scope == "alias")

    def _stop_by(self, suspension: Suspension, message: Message, lease: Lease) -> None:
        if suspension.is_stop:
            row = self.rows.filter(pk=message.pk)
            cancelled = row.cancel(by=suspension.created_by, reason=suspension.reason)
            self.counts[State.CANCELLED, suspension.error_code] += cancelled
            return
        error = suspension.as_error()
        again = database_now(self.using) + timedelta(seconds=FIRST_DELAY_SECONDS)
        is_final = isinstance(error, ContentRefused)
        self._stop(message, error, lease, None if is_final else suspension.until or again)

    def _run_preflights(self, block: Sequence[int], lease: Lease) -> bool:
        """Make the missing preflights (dry runs). Rows of a failed preflight wait or become FAILED.

        Return True if the worker must call `admit()` again before it sends the block.
        """
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
        """Return the rows of the block that are QUEUED under our lease and have not expired."""
        ours = self._unexpired(lease).with_keys(block).filter(**where)
        return list(ours.order_by(*CLAIM_ORDER))

    def _unexpired(self, lease: Lease) -> MessageQuerySet:
        now = database_now(self.using)
        return self.rows.queued().filter(lease_token=lease.token, expires_at__gt=now)

    def _stop(
        self, message: Message, error: SMSError, lease: Lease, again: datetime | None
    ) -> None:
        """Postpone a row to the time `again`, or make the row FAILED.

        The row becomes FAILED if `again` is None or `inline` is True.
        """
        if self.inline or again is None:
            self.errors[message.pk] = error
            message.fail(error, token=lease.token)
            return
        mine = self.rows.queued().filter(pk=message.pk, lease_token=lease.token)
        self.counts[State.QUEUED, error.code] += mine.update(
            # Not later than it expires, so that a worker fails it in time.
            next_attempt_at=min(again, message.expires_at),
            lease_token=None,
            lease_until=None,
            **error_columns(error),
        )


def redirects(backend: BaseSMSBackend) -> RawSQL | None:
    """Return an SQL expression for the number to which a message is redirected, or None.

    The result is None if the alias has no option `redirect_to`.
    """
    if not backend.redirect_to:
        return None
    allowed = sorted({backend.redirect_to, *(backend.allowed_recipients or ())})
    marks = ", ".join(["%s"] * len(allowed))
    sql = f"CASE WHEN recipient IN ({marks}) THEN NULL ELSE %s END"
    return expression(sql, [*allowed, backend.redirect_to])


def suspend_after(message: Message, error: SMSError | None, using: str, count: int = 1) -> None:
    """Pause the alias after an error of the account. Suspend a text that has forbidden content.

    If the gateway was unavailable, add `count` to the failures of the alias. After several failures
    in a row, the alias pauses.
    """
    suspensions, named = Suspension.objects.using(using), (message.alias, message.environment)
    if isinstance(error, ContentRefused):
        suspensions.impose(*named, error, message.fingerprint)
    elif isinstance(error, ACCOUNT_ERRORS):
        _log_pause(message.alias, error, suspensions.impose(*named, error))
    elif error is not None and is_unavailable(error):
        is_new = suspensions.count_failures(*named, error, count)
        _log_pause(message.alias, error, is_new)


def _log_pause(alias: str, error: SMSError, is_new: bool) -> None:
    if is_new:
        text = "SMSWW[%r] pauses: %s. %s"
        logger.error(text, alias, error, error.remedy, extra={"alias": alias})
