"""The way of a block of messages from rows to their delivery: now, on commit, or by a worker."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice, takewhile
from typing import Any

from django.db import connections
from django.db.transaction import TransactionManagementError
from django.utils import timezone

from ..backends.handler import sms_backends
from ..exceptions import SMSError
from ..models import Message
from ..models.commit import after_commit
from ..sms import SMS
from ..states import State
from ..worker import task_queues as engines
from ..worker.queue import Delivery, deliver, is_open_transaction
from .rows import Store

logger = logging.getLogger("django_smsww")

SHARE = 125
"""How many rows are written at a time while threads live on what they were given before."""
STRIDE = 250
"""How many rows are read at a time when they are done."""
MOST_AHEAD = 50_000
"""How many rows may be done and wait for one before them, in the order of the caller."""


@dataclass
class Outgoing(Store):
    """How the messages of one call become rows, and leave."""

    errors: dict[int, SMSError] = field(default_factory=dict)

    def send(self, messages: Sequence[SMS], **extra: Any) -> list[Message]:
        """Store a block and deliver what is to be delivered now; return the rows in this order.

        Raises:
            TransactionManagementError: autocommit is off and no transaction is managed, so that
                nothing would say when the rows are committed.
        """
        return list(self.stream([messages], **extra))

    def stream(self, blocks: Iterable[Sequence[SMS]], **extra: Any) -> Iterator[Message]:
        """Store and deliver one block after the other; yield the rows as they are done, in order.

        A block is stored while the one before it is on its way.

        Raises:
            TransactionManagementError: as `send` does; or a transaction was opened meanwhile.
        """
        self._refuse_manual_transactions()
        pending = iter(blocks)
        for block in pending:
            if self._delivers_now:
                yield from self._deliver(chain([block], pending), extra)
            else:
                yield from self._hand_on(self.store(block, extra))

    @property
    def _delivers_now(self) -> bool:
        if self.queue:
            return False
        return not (self.backend.delivers_on_commit and is_open_transaction(self.using))

    def _hand_on(self, rows: list[Message]) -> list[Message]:
        """Let an engine, the commit or `smsww_worker` see to these rows."""
        ready = [row.pk for row in rows if self._is_due(row)]
        if ready and isinstance(self.queue, str):
            after_commit(self.using, engines.tell, self.queue, self.backend.alias, ready)
        elif ready and not self.queue:
            after_commit(self.using, deliver_committed, self.backend.alias, ready, self.using)
        return rows

    def _deliver(self, blocks: Iterator[Sequence[SMS]], extra: dict[str, Any]) -> Iterator[Message]:
        order: deque[int] = deque()
        failure: list[Exception] = []
        with Delivery(self.backend, self.using, inline=True, errors=self.errors) as delivery:
            for block in self._shares(_until_failure(blocks, failure)):
                rows = self.store(block, extra)
                order += [row.pk for row in rows]
                delivery.add([row.pk for row in rows if self._is_due(row)])
                delivery.hand_over()
                while not delivery.has_room() or len(order) > MOST_AHEAD:
                    delivery.step()
                    yield from self._done(order, delivery.unfinished)
            while not delivery.is_done():
                delivery.step()
                yield from self._done(order, delivery.unfinished)
        yield from self._done(order, delivery.unfinished)
        if failure:
            raise failure[0]

    def _shares(self, blocks: Iterable[Sequence[SMS]]) -> Iterator[Sequence[SMS]]:
        """Cut blocks up, so that every thread soon has a message, and none runs out of work."""
        # One alone would be taken for all that there is, and be waited for.
        size = max(2, self.backend.concurrency)
        for block in blocks:
            start = 0
            while share := block[start : start + size]:
                yield share
                start, size = start + size, SHARE

    def _done(self, order: deque[int], unfinished: Container[int]) -> Iterator[Message]:
        """Take those off the front of the order that are done, and yield their rows as they are."""
        while order and order[0] not in unfinished:
            size = min(len(order), STRIDE)
            done = list(takewhile(lambda pk: pk not in unfinished, islice(order, size)))
            fresh = Message.objects.using(self.using).in_bulk(done)
            for primary_key in done:
                order.popleft()
                yield fresh[primary_key]

    def _refuse_manual_transactions(self) -> None:
        connection = connections[self.using]
        if not connection.in_atomic_block and not connection.get_autocommit():
            raise TransactionManagementError(
                "Autocommit is off: send inside transaction.atomic(), which says when it commits."
            )

    def _is_due(self, row: Message) -> bool:
        due = row.send_at is None or row.send_at <= timezone.now()
        return row.state == State.QUEUED and due


def _until_failure(
    blocks: Iterator[Sequence[SMS]], failure: list[Exception]
) -> Iterator[Sequence[SMS]]:
    """Yield the blocks before the caller's iterable fails, so that these still leave."""
    while True:
        try:
            block = next(blocks, None)
        except Exception as error:  # raised again when they have left
            failure.append(error)
            return
        if block is None:
            return
        yield block


def deliver_committed(alias: str, primary_keys: Sequence[int], using: str) -> None:
    """Deliver rows whose transaction has just committed; nobody is left to raise an error to."""
    backend = sms_backends[alias]
    errors = deliver(backend, primary_keys, using=using, inline=True, committed=True)
    failed = Message.objects.using(using).in_bulk(list(errors))
    for primary_key, message in failed.items():
        fields = {"reference": message.reference, "alias": alias}
        logger.warning("Message %s: %s", message.reference, errors[primary_key], extra=fields)
