"""One worker's way through rows that it leases: none waits for another's slow request.

A few rows are moved to SENDING just before they leave, threads carry them to the backend, and this
one, the only one that touches the database, writes down what they bring back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Self

from django.db import DatabaseError, connections
from django.db.models import Q
from django.db.transaction import TransactionManagementError

from ..backends.base import BaseSMSBackend
from ..exceptions import SMSError, SMSUnavailable
from ..models import Message, MessageQuerySet
from ..models import lease as leases
from ..models.lease import Lease
from . import prefetch
from .admission import Gate
from .rate_limit import Pace, rest_after
from .results import LARGEST_FLUSH, PATIENCE, Results
from .threads import Senders

ROUNDS = 4
"""How many rows a worker wants to have leased for each of its threads."""

MOST_LEASED = 250
"""How many due rows are leased at a time, at most."""

GLANCE = 5.0
"""Seconds after which a worker looks at its lease, though no answer has come."""


def is_open_transaction(using: str) -> bool:
    connection = connections[using]
    return connection.in_atomic_block or not connection.get_autocommit()


class Delivery:
    """One worker's way through rows that it leases: `with Delivery(…) as delivery:`.

    Rows are added and steps are taken in turns; only the steps send anything. In the end nothing is
    under way, whatever was raised: what had not left goes back to the queue or, where somebody
    waits for it, is FAILED.

    Attributes:
        errors: of the messages that were not accepted, by primary key.
        unfinished: the primary keys of the rows that were added, and are still this worker's.
    """

    def __init__(
        self,
        backend: BaseSMSBackend,
        using: str,
        *,
        inline: bool,
        committed: bool = False,
        errors: dict[int, SMSError] | None = None,
    ) -> None:
        self.backend, self.using, self.inline = backend, using, inline
        self.errors: dict[int, SMSError] = {} if errors is None else errors
        self.unfinished: set[int] = set()
        self._may_be_in_transaction = committed or not backend.delivers_on_commit
        self._waiting: deque[int] = deque()
        self._wanted: Sequence[int] = ()
        self._lease: Lease | None = None
        self._opened, self._is_open, self._is_over = ExitStack(), False, False
        self.gate = Gate(backend, self.rows, inline, self.errors)
        self._results = Results(self.rows, self.gate, inline, self.errors)
        self._senders = Senders(backend)
        self._pace = Pace(backend, using)

    @property
    def rows(self) -> MessageQuerySet:
        """The rows of this deployment: a copy of its database elsewhere sends nothing."""
        rows: MessageQuerySet = Message.objects.using(self.using)
        return rows.of(self.backend.alias, self.backend.environment)

    def __enter__(self) -> Self:
        self._refuse_transactions()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is not None:
                self._break_off()
        finally:
            self._senders.close()
            self._opened.close()

    # What is to be sent

    def add(self, primary_keys: Sequence[int]) -> None:
        """Lease those of these rows that are free, and send them in the steps to come."""
        if primary_keys and not self._is_over:
            self._wanted = primary_keys
            self._added(self.rows.lease(primary_keys, self._fresh_lease()))
            self._wanted = ()

    def add_due(self, limit: int) -> int:
        """Lease up to `limit` rows whose time has come; return how many."""
        found = [] if self._is_over else self.rows.lease_due(self._fresh_lease(), limit)
        return self._added(found)

    def _added(self, primary_keys: Sequence[int]) -> int:
        # One that two blocks name is under our lease already, and would be handed over again.
        added = [pk for pk in primary_keys if pk not in self.unfinished]
        self._waiting += added
        self.unfinished.update(added)
        self.gate.expect(added)
        return len(added)

    @property
    def block(self) -> int:
        """How many due rows to lease at a time.

        No more than are sent in a moment: the rest is for other workers, and an urgent message
        that is queued meanwhile comes before it.
        """
        return min(MOST_LEASED, 2 * self.backend.concurrency * ROUNDS)

    def has_room(self) -> bool:
        """Whether more rows should be added, so that no thread will have to wait."""
        return len(self._waiting) < self.backend.concurrency * ROUNDS

    def is_done(self) -> bool:
        return not (self._waiting or self._senders.under_way or self._results.unwritten)

    def must_rest(self) -> bool:
        """Whether the gateway wants to be left alone for so long that no worker should wait."""
        self._pace.look()
        return self.is_resting()

    def work_until(self, is_enough: Callable[[], bool]) -> None:
        """Take steps until it is enough; what no worker should wait for goes back to the queue."""
        while not is_enough():
            self.step()
            if not self.inline and self.is_resting():
                self.give_back()

    def is_resting(self) -> bool:
        """Whether it was found that no worker should wait."""
        return self._pace.wait > PATIENCE

    def step(self) -> None:
        """Hand over what fits, and write down what is answered; wait if there is neither."""
        self.hand_over()
        self._collect()
        self._senders.check()
        if self._must_write():
            self.record()

    def _refuse_transactions(self) -> None:
        if not self._may_be_in_transaction and is_open_transaction(self.using):
            raise TransactionManagementError(
                "Messages must not be delivered inside a transaction: call deliver() from "
                "transaction.on_commit(), or use send_sms(), which does; and open none between "
                "two messages of iter_send()."
            )

    # On the way out

    def hand_over(self) -> None:
        """Have threads begin as many as fit; none is waited for."""
        self._refuse_transactions()
        self._senders.check()
        if not (size := self._space()):
            return
        lease = self._fresh_lease()
        self._open()
        block = [self._waiting.popleft() for _ in range(min(size, len(self._waiting)))]
        if self.gate.hold(block, lease):
            # Requests were made for that: time has passed, and what holds back must be looked at
            # again.
            self._waiting.extendleft(reversed(block))
            return
        places = self._pace.places(len(block))
        self._waiting.extendleft(reversed(block[len(places) :]))
        block = block[: len(places)]
        if not block:
            self._lose_patience()
            return
        self.gate.count(block, lease)
        messages = self.rows.claim(block, lease)
        left = set(block) - {message.pk for message in messages}
        self.gate.allowance.give_back(left)
        self.unfinished -= left
        if messages:
            self._senders.hand_over(messages, lease, places, is_last=not self._waiting)

    def _lose_patience(self) -> None:
        """End what somebody waits for, if the gateway wants to be left alone for long."""
        patience = PATIENCE if len(self.unfinished) == 1 else leases.SECONDS / 2
        if self.inline and self._pace.wait > patience:
            self._end_waiting(SMSUnavailable(code="too_fast", retry_after=self._pace.wait))

    def _open(self) -> None:
        if not self._is_open:
            self._opened.enter_context(self.backend)
            self._is_open = True

    def _space(self) -> int:
        """Return how many rows may be moved to SENDING now."""
        threads = self.backend.concurrency
        if self._senders.are_together:  # a request for each few of them would be a waste
            most, batch = threads * ROUNDS, threads
        else:
            most, batch = prefetch.most(threads), prefetch.batch(threads)
        space = most - self._senders.under_way - len(self._results.unwritten)
        return space if self._waiting and space >= batch else 0

    def _fresh_lease(self) -> Lease:
        if self._lease is None:
            self._lease = Lease.begin(self.using)
        elif self._lease.is_half_gone:
            self._lease = self.rows.renew(self._lease)
        return self._lease

    # On the way back

    def _collect(self) -> None:
        self._results.add(self._senders.collect(self._patience()))

    def _patience(self) -> float:
        """Return for how many seconds there is nothing better to do than to wait for an answer."""
        if self._results.is_refused:
            return self._results.wait
        if not self._senders.under_way:
            is_idle = self._waiting and not self._results.unwritten
            is_over = not self.inline and self.is_resting()
            return min(self._pace.wait, GLANCE) if is_idle and not is_over else 0.0
        if self._results.unwritten:
            return self._results.wait
        return min(self._pace.wait or GLANCE, GLANCE)

    def _must_write(self) -> bool:
        results = self._results
        if not results.unwritten:
            return False
        if results.is_refused:
            return not results.wait
        enough = min(prefetch.batch(self.backend.concurrency), LARGEST_FLUSH)
        return not (self._senders.under_way and len(results.unwritten) < enough and results.wait)

    def record(self) -> None:
        """Write down what was answered."""
        written = self._results.write()
        never_begun = [answer.message.pk for answer in written if answer.never_begun]
        self._waiting.extendleft(reversed(never_begun))
        self.unfinished -= {answer.message.pk for answer in written} - set(never_begun)
        self.gate.settle((answer.message.pk, answer.result.error) for answer in written)
        if any(answer.holds_others_back for answer in written):
            self._senders.forget_stops()
        if rest := max((rest_after(answer.result.error) for answer in written), default=0.0):
            self._pace.rest(rest)

    # The end

    def give_back(self) -> int:
        """Let others have what has not left, and see to what has; return how many were let go.

        Nothing can be added after that.
        """
        self._is_over = True
        self._finish()
        self.unfinished.difference_update(self._waiting)
        self._waiting.clear()
        return self.rows.release(self._lease) if self._lease else 0

    def _break_off(self) -> None:
        """End what has not left, before an error leaves: whoever is told must be right.

        Where nobody waits, it goes on in another worker.
        """
        with suppress(DatabaseError):  # then the lease has to run out
            try:
                self._finish()
            finally:  # whatever becomes of those that have left
                if self.inline:
                    self._end_waiting(SMSUnavailable(code="interrupted"))
                else:
                    self.give_back()

    def _end_waiting(self, error: SMSError) -> None:
        """Fail what has not left."""
        # Those, too, that were kept back or cancelled meanwhile: nobody waits for them any more.
        self.unfinished.difference_update(self._waiting)
        self._waiting.clear()
        # Of those that could not be leased, where the database was locked, what nobody else has.
        ours = Q(pk__in=self._wanted, lease_token=None)
        if self._lease is not None:
            ours |= Q(lease_token=self._lease.token)
        messages = list(self.rows.queued().filter(ours))
        for message in messages:
            self.errors[message.pk] = error
            message.fail(error, token=message.lease_token)
        self.gate.allowance.give_back(message.pk for message in messages)

    def _finish(self) -> None:
        """Start nothing more, and write down what comes of the requests under way."""
        self._senders.end()
        while self._senders.under_way or self._results.unwritten:
            self._collect()
            if self._must_write():
                self.record()
