"""Decide when the messages of a call are sent: now, after the commit, or later by a worker."""

import logging
from collections import deque
from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import chain, islice, takewhile

from django.db import connections
from django.db.transaction import TransactionManagementError
from django.utils import timezone

from ..backends.base import BaseSMSBackend
from ..backends.handler import sms_backends
from ..exceptions import SMSError
from ..models import Message, single
from ..models.commit import after_commit, in_transaction
from ..sms import SMS
from ..states import State
from ..worker import task_queues
from ..worker.queue import deliver
from ..worker.worker import Worker, can_send_alone
from .rows import Resends, RowWriter
from .tracebacks import without_private_frames

logger = logging.getLogger("django_smsww")

WRITE_ROWS = 125
"""How many rows are written at a time while threads send earlier rows."""
READ_ROWS = 250
"""How many finished rows are read at a time."""
MOST_ROWS_AHEAD = 50_000
"""How many rows may wait to be yielded while an earlier row is not finished."""

MOST_AT_ONCE = 20
"""A web request with more messages than this puts all of them into the queue."""


def queue_for(count: int, backend: BaseSMSBackend) -> bool | str | None:
    """Return the argument `queue` for a web request that sends `count` messages.

    For up to MOST_AT_ONCE messages, return None (the default of the alias). For more, return the
    queue of the alias. If the alias has none, return True (meaning `smsww_worker`).
    """
    return None if count <= MOST_AT_ONCE else backend.queue or True


class Dispatch:
    """Sends the messages of one call, or leaves them to an on-commit hook or a worker."""

    def __init__(self, writer: RowWriter) -> None:
        self.writer, self.backend, self.using = writer, writer.backend, writer.using
        self.queue = writer.queue
        self.errors: dict[int, SMSError] = {}  # by the primary keys of messages not accepted
        self._worker: Worker | None = None

    @property
    def last_sent(self) -> Message | None:
        return self._worker.last_sent if self._worker else None

    def send(
        self, blocks: Iterable[Sequence[SMS]], resends: Resends | None = None
    ) -> Iterator[Message]:
        """Store and send blocks of messages; yield each row, in order, when it is done.

        While one block is being sent, the next block is stored.

        Raises:
            TransactionManagementError: autocommit is off and no `atomic()` block is open, so
                the time of the commit is unknown. The same error is raised if the caller opened a
                transaction after a row was yielded.
        """
        connection = connections[self.using]
        if not connection.in_atomic_block and not connection.get_autocommit():
            raise TransactionManagementError(
                "Autocommit is off: send inside transaction.atomic(), which says when it commits."
            )
        pending = iter(blocks)
        # `sends_now` is read for each block: the caller may leave its transaction between two.
        return chain.from_iterable(
            self._send_now(chain([block], pending), resends)
            if self.writer.sends_now
            else self._leave(self.writer.write(block, resends))
            for block in pending
        )

    def send_alone(self, sms: SMS) -> Message | None:
        """Store and send one message with as few SQL statements as possible, and return its row.

        Return None if this short way is not possible, for example because the alias is suspended.
        The caller then calls `send()`, which handles all cases. Raise InvalidSMS if the message is
        not valid.
        """
        row = self.writer.row_of(sms)
        leaves_now = self.writer.sends_now and _is_due(row)
        if not self._is_plain(leaves_now):
            return None
        if row.key or not leaves_now:  # QUEUED first: another call may have the key
            queued = self.writer.insert(row)
            if queued is None or not leaves_now:
                return queued and self._leave([queued])[0]
            row = queued
        self._worker = Worker(self.backend, self.using, inline=True, errors=self.errors)
        with self._worker as worker:
            sent = worker.send_alone(row, single.claim if row.pk else single.insert_sending)
            if sent is None and row.pk:
                worker.add([row.pk])
                worker.step_until(worker.is_done)
                sent = Message.objects.using(self.using).get(pk=row.pk)
        return sent

    def _is_plain(self, leaves_now: bool) -> bool:
        """Whether the alias and the state of the transaction allow `send_alone()`."""
        if not can_send_alone(self.backend):
            return False
        if leaves_now:
            return not in_transaction(self.using)
        connection = connections[self.using]
        return connection.in_atomic_block or connection.get_autocommit()

    def _leave(self, rows: list[Message]) -> list[Message]:
        """Let a task queue, an on-commit hook or `smsww_worker` send the rows; return the rows."""
        due, alias = [row for row in rows if _is_due(row)], self.backend.alias
        names = [row.pk for row in due]
        if due and isinstance(self.queue, str):
            after_commit(self.using, task_queues.enqueue, self.queue, alias, names)
        elif len(due) == 1 and not self.queue:
            after_commit(self.using, deliver_row, alias, due[0], self.using)
        elif due and not self.queue:
            after_commit(self.using, deliver_committed, alias, names, self.using)
        return rows

    def _send_now(
        self, blocks: Iterator[Sequence[SMS]], resends: Resends | None
    ) -> Iterator[Message]:
        order: deque[int] = deque()
        failure: list[Exception] = []
        self._worker = Worker(self.backend, self.using, inline=True, errors=self.errors)
        with self._worker as worker:
            for block in self._cut(_until_failure(blocks, failure)):
                rows = self.writer.write(block, resends)
                order += [row.pk for row in rows]
                worker.add([row.pk for row in rows if _is_due(row)])
                worker.send(worker.load.room)
                while not worker.needs_rows() or len(order) > MOST_ROWS_AHEAD:
                    worker.step()
                    yield from self._done(order, worker.unfinished)
            while not worker.is_done():
                worker.step()
                yield from self._done(order, worker.unfinished)
        yield from self._done(order, worker.unfinished)
        if failure:
            raise failure[0]

    def _cut(self, blocks: Iterable[Sequence[SMS]]) -> Iterator[Sequence[SMS]]:
        """Cut blocks into parts. The first part is small, so that all threads can start soon."""
        # At least 2: a single row would be sent, and waited for, before the next one is written.
        size = max(2, self.backend.concurrency)
        for block in blocks:
            start = 0
            while part := block[start : start + size]:
                yield part
                start, size = start + size, WRITE_ROWS

    def _done(self, order: deque[int], unfinished: Container[int]) -> Iterator[Message]:
        """Remove finished rows from the front of `order`, read them again, and yield them."""
        while order and order[0] not in unfinished:
            done = list(takewhile(lambda pk: pk not in unfinished, islice(order, READ_ROWS)))
            rows = Message.objects.using(self.using).with_keys(done)
            fresh = {row.pk: row for row in rows}
            for primary_key in done:
                order.popleft()
                yield fresh[primary_key]


def _is_due(row: Message) -> bool:
    is_time = row.send_at is None or row.send_at <= timezone.now()
    return row.state == State.QUEUED and is_time


def _until_failure(
    blocks: Iterator[Sequence[SMS]], failure: list[Exception]
) -> Iterator[Sequence[SMS]]:
    """Yield blocks. If the caller's iterable raises an error, add it to `failure` and stop."""
    while True:
        try:
            block = next(blocks, None)
        except Exception as error:  # raised again when the blocks before it are sent
            failure.append(error)
            return
        if block is None:
            return
        yield block


@without_private_frames
def deliver_committed(alias: str, primary_keys: Sequence[int], using: str) -> None:
    """Send rows whose transaction was just committed. Log an SMSError, and do not raise it."""
    errors = deliver(sms_backends[alias], primary_keys, using=using, inline=True, committed=True)
    _log(errors, using)


@without_private_frames
def deliver_row(alias: str, row: Message, using: str) -> None:
    """Do the same as `deliver_committed()` for a single row."""
    errors: dict[int, SMSError] = {}
    with Worker(sms_backends[alias], using, inline=True, committed=True, errors=errors) as worker:
        # In a TestCase this hook runs inside a transaction, which a failing statement would break.
        if in_transaction(using) or not worker.send_alone(row, single.claim):
            worker.add([row.pk])
            worker.step_until(worker.is_done)
    _log(errors, using)


def _log(errors: dict[int, SMSError], using: str) -> None:
    failed = Message.objects.using(using).in_bulk(list(errors))
    for primary_key, message in failed.items():
        fields = {"reference": message.reference, "alias": message.alias}
        logger.warning("Message %s: %s", message.reference, errors[primary_key], extra=fields)
