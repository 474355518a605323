"""The worker: lease rows, let threads send them, and write the results to the database.

A worker makes only a few rows SENDING at a time, just before their requests begin. The threads do
not use the database. A slow request does not delay other messages.
"""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import cached_property, lru_cache
from typing import Self
from uuid import UUID, uuid4

from django.db import DatabaseError
from django.db.models import Q
from django.db.transaction import TransactionManagementError

from ..backends.base import BaseSMSBackend
from ..clock import elapsed
from ..exceptions import SMSError, SMSUnavailable
from ..models import Message, MessageQuerySet
from ..models import lease as leases
from ..models.announcing import announce_row
from ..models.commit import in_transaction
from ..models.lease import Lease
from ..states import State
from .admission import Admission, redirects
from .limits import has_limits
from .plan import LEASE_CHECK_SECONDS, ROWS_PER_THREAD, Load, Send, Wait, Write
from .rate_limit import RateLimit
from .results import Results
from .retry import back_off_seconds
from .threads import SendingThreads

BecomeSending = Callable[[Message, UUID, str, str], Message | None]
"""The type of the two functions in `models.single` that make a row SENDING."""

LEASE_ROWS = 250
"""The maximum number of rows that a worker leases with one query."""

LONGEST_PAUSE_SECONDS = 10
"""A worker, or a call with one message, waits at most this many seconds for the rate limit."""


class Worker:
    """A worker that sends rows of one backend: `with Worker(…) as worker:`.

    Add rows, and call `step()` repeatedly to send them. When the `with` block ends, no request is
    under way. After an error, unsent rows go back to the queue, unless `inline` is True.

    Attributes:
        inline: True if a caller waits. Then a row that was not sent becomes FAILED, and no worker
            tries the row again.
        errors: the errors of messages that were not accepted, by primary key.
        counts: the numbers of sent, cancelled and postponed messages, by state and error code.
        unfinished: the primary keys of added rows that are not sent, or whose result is not stored.
        last_sent: the last message whose request may have begun.
    """

    def __init__(
        self,
        backend: BaseSMSBackend,
        using: str,
        *,
        inline: bool,
        committed: bool = False,
        errors: dict[int, SMSError] | None = None,
        counts: Counter[tuple[str, str]] | None = None,
    ) -> None:
        self.backend, self.using, self.inline = backend, using, inline
        self.errors: dict[int, SMSError] = {} if errors is None else errors
        self.counts: Counter[tuple[str, str]] = Counter() if counts is None else counts
        self.unfinished: set[int] = set()
        self._may_be_in_transaction = committed or not backend.delivers_on_commit
        self._leased: deque[int] = deque()
        self._wanted: Sequence[int] = ()
        self.last_sent: Message | None = None
        self._lease: Lease | None = None
        self._unstarted = Q(pk__in=[])
        self._paused_until = 0.0
        self._opened, self._is_open, self._is_over = ExitStack(), False, False
        self._admission = Admission(
            backend, self.rows, inline=inline, errors=self.errors, counts=self.counts
        )
        self._probe = self._admission.probe
        self._results = Results(
            self.rows, self._probe, inline=inline, errors=self.errors, counts=self.counts
        )
        self._threads = SendingThreads(backend)
        self._rate_limit = RateLimit(backend, using)

    @cached_property
    def rows(self) -> MessageQuerySet:
        """The message rows of this alias and environment.

        A deployment with a copy of the database has another environment, so it never sends these
        rows.
        """
        return _rows_of(self.backend.alias, self.backend.environment, self.using).all()

    def __enter__(self) -> Self:
        self._refuse_transactions()
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        try:
            if error is not None:
                self._break_off()
        finally:
            self._threads.close()
            self._opened.close()

    # Rows to send

    def add(self, primary_keys: Sequence[int]) -> None:
        """Lease the given rows that are QUEUED and not leased by another worker."""
        if primary_keys and not self._is_over:
            self._wanted = primary_keys
            self._added(self.rows.lease(primary_keys, self._current_lease()))
            self._wanted = ()

    def add_due(self, limit: int) -> int:
        found = [] if self._is_over else self.rows.lease_due(self._current_lease(), limit)
        return self._added(found)

    def _added(self, primary_keys: Sequence[int]) -> int:
        # If two blocks name a row, we have leased it already, and must not send it twice.
        added = [pk for pk in primary_keys if pk not in self.unfinished]
        self._leased += added
        self.unfinished.update(added)
        self._admission.add(added)
        return len(added)

    def send_alone(self, row: Message, become_sending: BecomeSending) -> Message | None:
        """Send one message whose row is not leased, store the result, and return the stored row.

        Return None and send nothing if, for example, a suspension or a rate limit stops the
        message: see Note [What holds a message back] in `models/single.py`.
        """
        self._refuse_transactions()
        if row.preflight or not can_send_alone(self.backend):
            return None
        deadline, token = leases.next_deadline(), uuid4()
        starts = self._rate_limit.reserve(1) if self.backend.rate_limit else [0.0]
        self._wanted = [row.pk] if row.pk else ()
        self._unstarted = Q(reference=row.reference, lease_token=token)
        timeline = self._rate_limit.rests_by
        sending = become_sending(row, token, timeline, self.using) if starts else None
        if sending is None or sending.lease_until is None:
            return None
        self._wanted, self._lease = (), Lease(sending.lease_until, deadline, token)
        self.unfinished.add(sending.pk)
        announce_row(sending)
        self._open_backend()
        self._unstarted, self.last_sent = Q(pk__in=[]), sending
        self._threads.send([sending], self._lease, starts, is_last=True)
        self._results.add(self._threads.collect(0))
        self.write_results()
        self.step_until(self.is_done)
        return self._results.stored or self.rows.get(pk=sending.pk)

    @property
    def block_size(self) -> int:
        """The number of due rows to lease at a time.

        The number is small, so that other workers get rows and a new urgent message is sent soon.
        """
        return min(LEASE_ROWS, 2 * self.backend.concurrency * ROWS_PER_THREAD)

    def needs_rows(self) -> bool:
        """Return True if so few rows are leased that a thread may soon have nothing to send."""
        return len(self._leased) < self.backend.concurrency * ROWS_PER_THREAD

    def is_done(self) -> bool:
        is_busy = self._leased or self._threads.under_way or self._results.unwritten
        return not (is_busy or self._threads.raised)  # the next step raises a thread's error

    @property
    def is_suspended(self) -> bool:
        return self._admission.is_suspended

    def must_rest(self) -> bool:
        """Read the account's rate limit counter from the database, and return `must_pause()`."""
        self._rate_limit.refresh()
        return self.must_pause()

    def must_pause(self) -> bool:
        """Whether the rate limit delays the next request by more than LONGEST_PAUSE_SECONDS."""
        return self._rate_limit.wait > LONGEST_PAUSE_SECONDS

    # Steps

    def step_until(self, is_enough: Callable[[], bool]) -> None:
        """Call `step()` until `is_enough()` returns True.

        If the rate limit causes a long delay and `inline` is False, release the unsent rows.
        """
        while not is_enough():
            self.step()
            if not self.inline and self.must_pause():
                self.release()

    def step(self) -> None:
        self._refuse_transactions()
        self._carry_out(self.load.plan())
        self._threads.raise_error()

    @property
    def load(self) -> Load:
        return Load(
            threads=self.backend.concurrency,
            send_together=self._threads.send_together,
            leased=0 if self._is_over or self._probe.has_left else len(self._leased),
            sending=self._threads.under_way,
            unwritten=len(self._results.unwritten),
            flush_in=self._results.flush_in,
            was_refused=self._results.was_refused,
            pause=max(0.0, self._paused_until - elapsed()),
        )

    def _carry_out(self, plan: Send | Write | Wait) -> None:
        match plan:
            case Send(rows):
                self.send(rows)
            case Write():
                self.write_results()
            case Wait(seconds):
                self._results.add(self._threads.collect(seconds))

    def send(self, count: int) -> None:
        """Make rows SENDING, `count` rows at most, and pass them to the threads without waiting."""
        self._refuse_transactions()
        self._threads.raise_error()
        if not count:
            return
        lease = self._current_lease()
        self._open_backend()
        block = [self._leased.popleft() for _ in range(min(count, len(self._leased)))]
        admitted = self._admission.admit(block, lease)
        starts = self._rate_limit.reserve(len(admitted)) if admitted else ()
        leaving = admitted[: len(starts)]
        self._put_back([pk for pk in block if pk not in leaving])
        if starts and (messages := self._claim(leaving, lease)):
            self._unstarted, self.last_sent = Q(pk__in=[]), messages[-1]
            self._threads.send(messages, lease, starts, is_last=not self._leased)
        elif admitted and not starts:
            self._pause()

    def _put_back(self, block: Sequence[int]) -> None:
        """Put rows back at the front of the list of leased rows.

        The probe (the message that tests a paused alias) comes first if it is in the list.
        """
        self._leased.extendleft(reversed(block))
        if self._probe.row is not None and self._probe.row in self._leased:
            self._leased.remove(self._probe.row)
            self._leased.appendleft(self._probe.row)

    def _claim(self, block: Sequence[int], lease: Lease) -> list[Message]:
        """Make these rows SENDING, and return the rows that are SENDING now.

        A used-up quota, an expiry, a cancellation or the do-not-send list may stop a row.
        """
        self._admission.reserve_quotas(block, lease)
        self._unstarted = Q(pk__in=block, lease_token=lease.token)
        messages = self.rows.claim(block, lease, redirects(self.backend))
        stopped = set(block) - {message.pk for message in messages}
        self._admission.quotas.release(stopped)
        self._probe.note_claim(block, messages)
        self.unfinished -= stopped
        return messages

    def _pause(self) -> None:
        """Send no rows until the rate limit allows requests again.

        If `inline` is True and the delay is too long, make the rows FAILED.
        """
        wait = self._rate_limit.wait
        self._paused_until = elapsed() + min(wait, LEASE_CHECK_SECONDS)
        longest = LONGEST_PAUSE_SECONDS if len(self.unfinished) == 1 else leases.SECONDS / 2
        if self.inline and wait > longest:
            self._fail_leased(SMSUnavailable(code="too_fast", retry_after=wait))

    def write_results(self) -> None:
        """Write the results to the database, and update quotas, suspensions and the rate limit."""
        written = self._results.write()
        not_started = [each.message.pk for each in written if each.was_not_started]
        self._put_back(not_started)
        self.unfinished -= {each.message.pk for each in written} - set(not_started)
        self._admission.finish(written)
        if any(each.stopped_texts for each in written):
            self._threads.forget_stops()
        self.counts.update((_reached(each.message), "") for each in written if each.error is None)
        errors = [each.error for each in written if each.error]
        if seconds := max(map(back_off_seconds, errors), default=0.0):
            self._rate_limit.back_off(seconds)

    def _refuse_transactions(self) -> None:
        if not self._may_be_in_transaction and in_transaction(self.using):
            raise TransactionManagementError(
                "Messages must not be delivered inside a transaction: call deliver() from "
                "transaction.on_commit(), or use send_sms(), which does so. Between two messages "
                "of iter_send(), open no transaction either."
            )

    def _open_backend(self) -> None:
        if not self._is_open:
            self._opened.enter_context(self.backend)
            self._is_open = True

    def _current_lease(self) -> Lease:
        if self._lease is None:
            self._lease = Lease.begin(self.using)
        elif self._lease.is_half_gone:
            self._lease = self.rows.renew(self._lease)
        return self._lease

    # The end

    def release(self) -> int:
        """Wait for running requests, and then release the unsent rows to other workers.

        Return how many rows were released. After this call, no rows can be added.
        """
        self._finish()
        self._forget_leased()
        return self.rows.release(self._lease) if self._lease else 0

    def _break_off(self) -> None:
        """On an error, wait for running requests. Then release unsent rows or make them FAILED."""
        with suppress(DatabaseError):  # the rows are free again when their lease runs out
            try:
                self._finish()
            finally:  # also if the results cannot be written
                if self.inline:
                    self._fail_leased(SMSUnavailable(code="interrupted"))
                else:
                    self.release()

    def _finish(self) -> None:
        """Start no more requests, wait for the running requests, and write their results."""
        self._is_over = True
        self._threads.stop()
        while self._threads.under_way or self._results.unwritten:
            self._carry_out(self.load.plan())

    def _fail_leased(self, error: SMSError) -> None:
        # Rows that were postponed or cancelled meanwhile are forgotten too, but not failed.
        self._forget_leased()
        # If the database was locked when we wanted to lease our rows, they have no lease.
        ours = Q(state=State.QUEUED, pk__in=self._wanted, lease_token=None)
        if self._lease is not None:
            ours |= Q(lease_token=self._lease.token)
        # If a receiver of a signal raised, the row is SENDING, but its request has not begun.
        unstarted = self.rows.filter(self._unstarted, state=State.SENDING)
        messages = [*self.rows.queued().filter(ours), *unstarted]
        for message in messages:
            self.errors[message.pk] = error
            message.fail(error, token=message.lease_token)
        self._admission.quotas.release(message.pk for message in messages)

    def _forget_leased(self) -> None:
        self.unfinished.difference_update(self._leased)
        self._leased.clear()
        self._probe.give_back()


@lru_cache(maxsize=256)
def _rows_of(alias: str, environment: str, using: str) -> MessageQuerySet:
    """Return the rows of an alias. Workers share this QuerySet, so each worker copies it first.

    Sharing saves 0.1 ms, the time to build the QuerySet, in each `send_sms` that sends at once.
    """
    return Message.objects.using(using).of(alias, environment)


def can_send_alone(backend: BaseSMSBackend) -> bool:
    """Return True if one SQL statement can check a row and make the row SENDING.

    This is possible if the alias has no quotas, no `redirect_to` and no `allowed_recipients`.
    """
    return not (has_limits(backend) or backend.is_staging)


def _reached(message: Message) -> State:
    """Return the state under which `Worker.counts` counts an accepted message."""
    return State.VALIDATED if message.dry_run else State.NEW
