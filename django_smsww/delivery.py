"""Take queued rows to the backend, and write down what came of each.

The order is what keeps the promise of the history: lease, then SENDING, then the request, then the
result. Nothing here holds a transaction open over a request.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal

from django.db import DatabaseError, connections, transaction
from django.db.models import Subquery
from django.db.models.expressions import Combinable
from django.db.transaction import TransactionManagementError

from . import facts
from .backends.base import BaseSMSBackend
from .clock import database_now
from .exceptions import (
    ContentRefused,
    SMSError,
    SMSLimited,
    SMSOutcomeUnknown,
    SMSUnavailable,
)
from .gate import Gate, delay
from .leases import Lease
from .limits import cost_nothing
from .message import SendResult
from .models import Heartbeat, Message, MessageQuerySet

logger = logging.getLogger("django_smsww")

ROUNDS = 4
"""How many requests a worker has in SENDING for each that is on its way."""

MAX_ATTEMPTS = 10

BEAT = 10
"""Seconds between two signs of life of `smsww_deliver`."""


def is_open_transaction(using: str) -> bool:
    connection = connections[using]
    return connection.in_atomic_block or not connection.get_autocommit()


def deliver(
    backend: BaseSMSBackend,
    primary_keys: Sequence[int],
    *,
    using: str,
    inline: bool = False,
    committed: bool = False,
) -> dict[int, SMSError]:
    """Send those of these rows that are QUEUED and free; return the errors by primary key.

    Args:
        using: the database alias.
        inline: somebody waits for the outcome, so a row that certainly was not sent is FAILED
            instead of being tried again later.
        committed: the rows are known to be committed, as in an on-commit hook.

    Raises:
        TransactionManagementError: a transaction is open, and the backend reaches outside: a
            rollback would erase a message that was paid for.
    """
    if backend.delivers_on_commit and not committed and is_open_transaction(using):
        raise TransactionManagementError(
            "deliver() must not run inside a transaction: "
            "call it from transaction.on_commit(), or use send_sms(), which does."
        )
    return _Delivery(backend, using, inline).run(primary_keys)


def deliver_due(backend: BaseSMSBackend, *, using: str, limit: int = 250) -> int:
    """Send up to `limit` queued rows of this backend whose time has come; return how many."""
    delivery = _Delivery(backend, using, inline=False)
    sweep = Heartbeat.objects.using(using)
    sweep.beat(backend.environment, f"sweep:{backend.alias}", every=BEAT)
    delivery.rows.abandon()
    if delivery.gate.is_shut:
        delivery.rows.give_up_late()  # a text must not outlive its time because of a pause
        return 0
    lease = Lease.begin(using)
    primary_keys = delivery.rows.take_due(lease, limit)
    delivery.run(primary_keys, lease)
    return len(primary_keys)


@dataclass
class _Delivery:
    """One worker's way through a block of rows."""

    backend: BaseSMSBackend
    using: str
    inline: bool
    errors: dict[int, SMSError] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.gate = Gate(self.backend, self.rows, self.inline, self.errors)

    @property
    def rows(self) -> MessageQuerySet:
        """The rows of this deployment: a copy of its database elsewhere sends nothing."""
        return Message.objects.using(self.using).filter(
            alias=self.backend.alias, environment=self.backend.environment
        )

    def run(self, primary_keys: Sequence[int], lease: Lease | None = None) -> dict[int, SMSError]:
        if lease is None:
            lease = Lease.begin(self.using)
            primary_keys = self.rows.take(primary_keys, lease)
        waiting = list(primary_keys)
        size = self.backend.concurrency * ROUNDS
        try:
            with self.backend:
                while waiting:
                    if lease.is_half_gone:
                        lease = self.rows.renew(lease)
                    block, waiting = waiting[:size], waiting[size:]
                    waiting = self.send(block, lease) + waiting
        except Exception:
            self._let_go(lease)
            raise
        return self.errors

    def _let_go(self, lease: Lease) -> None:
        """End what has not left, before an error leaves: whoever is told must be right.

        What is SENDING stays so. Where nobody waits, the rest goes on in another worker.
        """
        with suppress(DatabaseError):  # then the lease has to run out
            if not self.inline:
                self.rows.release(lease)
                return
            for message in self.rows.queued().filter(lease_token=lease.token):
                message.fail(SMSUnavailable(code="interrupted"), token=lease.token)

    def send(self, block: Sequence[int], lease: Lease) -> list[int]:
        """Send one block, and return the rows whose requests were never begun."""
        if self.gate.hold(block, lease):
            return list(block)
        allowance = self.gate.count(block, lease)
        messages = self.rows.claim(block, lease)
        allowance.keep_only(messages)
        if not messages:
            return []
        results = self.backend.send_messages(
            [message.as_sms() for message in messages], deadline=lease.deadline
        )
        outcomes = list(zip(messages, results, strict=True))
        self.record(outcomes, lease)
        allowance.keep_only(
            message for message, result in outcomes if not cost_nothing(result.error)
        )
        if any(result.error is None for result in results):
            self.gate.forgive()
        return [message.pk for message, result in outcomes if _never_begun(result)]

    # Results

    def record(self, outcomes: Sequence[tuple[Message, SendResult]], lease: Lease) -> None:
        """Write the results down, all at once, or one by one if that fails."""
        try:
            with transaction.atomic(using=self.using):
                for message, result in outcomes:
                    self.record_one(message, result, lease)
        except DatabaseError:
            if connections[self.using].in_atomic_block:
                raise
            self._record_singly(outcomes, lease)

    def _record_singly(self, outcomes: Sequence[tuple[Message, SendResult]], lease: Lease) -> None:
        for outcome in outcomes:
            try:
                with transaction.atomic(using=self.using):
                    self.record_one(*outcome, lease)
            except DatabaseError as error:
                # One answer that cannot be stored must not lose the others. This row stays
                # SENDING, and becomes UNKNOWN when its lease is over. The error's text quotes
                # what was to be stored, so its class has to do.
                reference, kind = outcome[0].reference, type(error).__name__
                logger.error("The result of message %s was not stored: %s", reference, kind)
                self.errors[outcome[0].pk] = SMSOutcomeUnknown(code="not_stored", detail=kind)

    def record_one(self, message: Message, result: SendResult, lease: Lease) -> None:
        if _never_begun(result):
            message.put_back(lease)
        elif result.error is not None:
            self.errors[message.pk] = result.error
            self._record_error(message, result, result.error, lease)
        elif message.dry_run:
            message.validate(result, lease)
        else:
            message.accept(result)

    def _record_error(
        self, message: Message, result: SendResult, error: SMSError, lease: Lease
    ) -> None:
        if self._may_retry(message, error):
            # By the clock that it will be compared with, and not later than it expires, so that
            # the next look at it says so.
            again = database_now(self.using) + delay(message, error)
            message.postpone(error, min(again, message.expires_at), lease)
        else:
            changes = facts.merge(Message, result, self.using)
            if isinstance(error, ContentRefused) and not message.dry_run:
                changes["penalty"] = self._penalty(message, result)
            message.fail(error, token=lease.token, **changes)
        # Not first: SQLite refuses a transaction that reads first and writes then, if another
        # one has written in between.
        self.gate.suspend(message, error)

    def _penalty(self, message: Message, result: SendResult) -> Decimal | Combinable:
        """Estimate what forbidden content cost: a fine, or the price of the message (IT, ES)."""
        segments = result.segments or message.segments or 1
        if message.route not in ("IT", "ES"):
            return facts.FINE * segments
        if result.total_price:
            return result.total_price
        # A refusal names no price, so it is the one of the message before. It is read in the
        # UPDATE itself, for a transaction must not begin with reading.
        priced = self.rows.filter(route=message.route, price__gt=0).order_by("-pk")
        return Subquery(priced.values("price")[:1]) * segments

    def _may_retry(self, message: Message, error: SMSError) -> bool:
        return (
            not self.inline
            and isinstance(error, SMSUnavailable | SMSLimited)
            and message.attempts < MAX_ATTEMPTS
        )


def _never_begun(result: SendResult) -> bool:
    return result.error is not None and result.error.code == "not_started"
