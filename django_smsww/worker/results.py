"""Write the results of requests to the database in blocks.

If one result cannot be stored, the other results of its block are still stored. If the database
fails, the worker tries again until the lease of the message ends. If a caller waits, the worker
tries for at most a few seconds. If no try succeeds, the row stays SENDING, and becomes UNKNOWN
later.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import (
    DatabaseError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    connections,
    transaction,
)
from django.utils import timezone

from ..clock import elapsed
from ..exceptions import ContentRefused, SMSError, SMSOutcomeUnknown
from ..models import Message, MessageQuerySet, transitions
from ..models import lease as leases
from ..models import provider_facts as facts
from ..models.commit import in_transaction
from ..models.transitions import Move, OvertakenError, move_alone, move_together
from ..sms import SendResult
from ..states import State
from .admission import suspend_after
from .recovery import Probe
from .retry import is_unavailable, may_retry, retry_at
from .threads import MessageResult

logger = logging.getLogger("django_smsww")

FLUSH_ROWS = 250
"""The maximum number of results that one transaction writes."""
FLUSH_SECONDS = 0.5
"""The maximum time in seconds that a result waits to be written together with others."""
DATABASE_WAIT_SECONDS = 10
"""For how many seconds a worker retries to store a result while a caller waits."""
MOST_REFUSALS = 3
"""How many times a worker retries a result after a temporary error of a reachable database."""
UNUSABLE = (ArithmeticError, TypeError, ValueError, ValidationError)
"""The errors of model fields that cannot store a value, such as a price that is not a number."""


class Results:
    """The results of one worker that are not stored yet."""

    def __init__(
        self,
        rows: MessageQuerySet,
        probe: Probe,
        *,
        inline: bool,
        errors: dict[int, SMSError],
        counts: Counter[tuple[str, str]],
    ) -> None:
        self.rows, self.using, self.probe = rows, rows.db, probe
        self.inline, self.errors, self.counts = inline, errors, counts
        self.unwritten: list[MessageResult] = []
        self.was_refused = False  # the last write could not store some of the results
        self.stored: Message | None = None  # the row of the last result, if written alone
        self._since = 0.0

    def add(self, results: Sequence[MessageResult]) -> None:
        if results and not self.unwritten:
            self._since = elapsed()
        self.unwritten += results

    @property
    def flush_in(self) -> float:
        return max(0.0, self._since + FLUSH_SECONDS - elapsed())

    def write(self) -> list[MessageResult]:
        """Write the unwritten results; return the results that were stored or given up."""
        results, self.unwritten = self.unwritten, []
        try:
            for start in range(0, len(results), FLUSH_ROWS):
                self._write(results[start : start + FLUSH_ROWS])
        except BaseException:  # such as Ctrl-C
            self.unwritten = results  # a result that is stored already moves its row only once
            raise
        kept = {id(each) for each in self.unwritten}
        self.was_refused, self._since = bool(kept), elapsed()
        return [each for each in results if id(each) not in kept]

    def _write(self, results: Sequence[MessageResult]) -> None:
        self.stored = None
        try:
            # Read before the transaction: SQLite refuses a transaction that reads and then writes,
            # if another one has written in between.
            moves = [self._move_of(each) for each in results]
            if self._is_plain(results):
                self.stored = move_alone(moves[0], results[0].lease.token, self.using)
                return
            with transaction.atomic(using=self.using):
                move_together(moves, results[0].lease.token, self.using)
                for each in _one_of_each_stop(results):
                    suspend_after(each.message, each.stop, self.using)
                if failed := _failed_in_a_row(results):
                    suspend_after(failed[0].message, failed[0].error, self.using, len(failed))
        except (OvertakenError, IntegrityError):
            self._write_overtaken(results)
        except (DatabaseError, *UNUSABLE) as error:
            self._write_refused(results, error)
        else:
            self.errors.update((move.message.pk, move.error) for move in moves if move.error)
            errors = [move.error for move in moves if move.target is State.QUEUED]
            self.counts.update((State.QUEUED, error.code) for error in errors if error)

    def _is_plain(self, results: Sequence[MessageResult]) -> bool:
        """Return True for a single result that one UPDATE without a transaction can store."""
        is_mere = not results[0].error and not results[0].result.stop
        return len(results) == 1 and is_mere and not in_transaction(self.using)

    def _move_of(self, sent: MessageResult) -> Move:
        is_probe = sent.message.pk == self.probe.row
        return move_of(sent, self.rows, inline=self.inline, is_probe=is_probe)

    def _write_overtaken(self, results: Sequence[MessageResult]) -> None:
        """Write results again after a conflict, in two halves if there are several results.

        A conflict means that a row's state has changed, or another row has the provider's id. For
        a single result, write only the changes that are still allowed.
        """
        if len(results) > 1:
            self._write_halves(results)
            return
        try:
            changes = self._late_facts(results[0])
            with transaction.atomic(using=self.using):
                self._write_late(results[0], changes)
        except DatabaseError as error:
            self._write_refused(results, error)

    def _late_facts(self, late: MessageResult) -> dict[str, Any]:
        """Return the columns to update after a failed request, with the provider's data.

        If another row has the provider's id of this message, leave the id out. After a successful
        request, return {}, because `_write_late()` then needs no columns.
        """
        if late.error is None:
            return {}
        result = late.result
        free = self.rows.filter(self.rows.free_id(result.provider_id), pk=late.message.pk)
        return facts_of(late.message, result if free.exists() else result.nameless(), self.rows)

    def _write_late(self, late: MessageResult, changes: dict[str, Any]) -> None:
        message, error = late.message, late.error
        if error is not None and not late.was_not_started:
            is_ended = message.fail(error, token=late.lease.token, **changes)
            if not is_ended and not message.fail_late(error, **changes) and changes:
                # A callback or another worker has ended the row. Its price is still right.
                row = self.rows.filter(pk=message.pk)
                row.update(**changes, updated_at=timezone.now())
            suspend_after(message, late.stop, self.using)
            self.errors[message.pk] = error
        elif error is None and not message.dry_run:
            # Without the lease's token: the provider has the message, whoever has the lease now.
            message.accept(late.result)
            suspend_after(message, late.result.warning, self.using)

    def _write_refused(self, results: Sequence[MessageResult], error: Exception) -> None:
        """Keep, split or give up results that the database did not store.

        If the caller has opened a transaction, raise the error. If the database cannot be reached,
        keep the results. Otherwise, write each half separately. A single result is kept for a later
        retry, or given up.
        """
        if connections[self.using].in_atomic_block:
            raise error  # the owner of that transaction has to roll it back
        is_passing = isinstance(error, OperationalError | InterfaceError)
        if is_passing and self._is_away():
            self._keep(results, error)
        elif len(results) > 1:
            self._write_halves(results)
        elif is_passing and results[0].refusals < MOST_REFUSALS:
            results[0].refusals += 1
            self._keep(results, error)
        else:
            self._give_up(results[0], error)

    def _write_halves(self, results: Sequence[MessageResult]) -> None:
        middle = len(results) // 2
        self._write(results[:middle])
        self._write(results[middle:])

    def _is_away(self) -> bool:
        """Reconnect if the connection is broken; return True if the database cannot be reached."""
        connection = connections[self.using]
        try:
            connection.close_if_unusable_or_obsolete()
            connection.ensure_connection()
        except DatabaseError:
            return True
        return False

    def _keep(self, results: Sequence[MessageResult], error: Exception) -> None:
        for each in results:
            ends = each.lease.deadline + leases.SECONDS / 2
            if self.inline:
                ends = min(ends, each.came_at + DATABASE_WAIT_SECONDS)
            if elapsed() < ends:
                self.unwritten.append(each)
            else:
                self._give_up(each, error)

    def _give_up(self, result: MessageResult, error: Exception) -> None:
        # The row stays SENDING, and becomes UNKNOWN when its lease is over. The error's text
        # quotes the values that were to be stored, so only its class is logged.
        reference, kind = result.message.reference, type(error).__name__
        logger.error(
            "The result of message %s was not stored (%s): the message will be UNKNOWN",
            reference,
            kind,
        )
        self.errors[result.message.pk] = SMSOutcomeUnknown(code="not_stored", detail=kind)


def move_of(sent: MessageResult, rows: MessageQuerySet, *, inline: bool, is_probe: bool) -> Move:
    """Return the change of state that this result causes in the row of its message."""
    message, result, error = sent.message, sent.result, sent.error
    if sent.was_not_started:
        return transitions.put_back(message)
    if error is None:
        accept = transitions.validated if message.dry_run else transitions.accepted
        return accept(message, result, rows.db)
    if not inline and not sent.is_alone and may_retry(message, error, is_probe=is_probe):
        again = retry_at(message, error, rows.db, is_probe=is_probe)
        return transitions.postponed(message, error, again)
    return transitions.failed(message, error, **facts_of(message, result, rows))


def facts_of(message: Message, result: SendResult, rows: MessageQuerySet) -> dict[str, Any]:
    """Return the columns to update after a failed request, such as the estimated penalty."""
    changes = facts.merge(Message, result, rows.db)
    if isinstance(result.error, ContentRefused) and not message.dry_run:
        changes["penalty"] = _penalty(message, result, rows)
    return changes


def _penalty(message: Message, result: SendResult, rows: MessageQuerySet) -> Decimal | None:
    """Estimate the cost of a message with forbidden content; None if no price is known.

    For Italy and Spain, the cost is the price of the message; elsewhere, a fine for each segment.
    """
    segments = result.segments or message.segments or 1
    if message.route not in ("IT", "ES"):
        return facts.FINE * segments
    if result.total_price:
        return result.total_price
    # A refusal names no price, so take the price of the last message on this route.
    priced = rows.filter(route=message.route, price__gt=0).order_by("-pk")
    price = priced.values_list("price", flat=True).first()
    return price and price * segments


def _one_of_each_stop(results: Sequence[MessageResult]) -> list[MessageResult]:
    """Return one result for each error that pauses the account or suspends a text."""
    stops = [each for each in results if each.stop]
    found = {(type(each.stop), text): each for each in stops for text in each.stopped_texts}
    return list(found.values())


def _failed_in_a_row(results: Sequence[MessageResult]) -> list[MessageResult]:
    """Return the last results in which the gateway was unavailable, newest first.

    The search goes through `results` from the last to the first, and ends at a result that proves
    that the gateway works (`proves_service`).
    """
    failed = []
    for each in reversed(results):
        if each.proves_service:
            break
        if is_unavailable(each.error):
            failed.append(each)
    return failed
