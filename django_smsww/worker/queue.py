"""Take queued rows to the backend, and write down what came of each.

The order is what keeps the promise of the history: lease, then SENDING, then the request, then the
result. Nothing here holds a transaction open over a request.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..backends.base import BaseSMSBackend
from ..clock import database_now, elapsed
from ..exceptions import SMSError
from ..models import Heartbeat
from .worker import Delivery, is_open_transaction

__all__ = ["BLOCK", "Delivery", "count_due", "deliver", "deliver_due", "is_open_transaction"]

BLOCK = 250
"""How many rows are leased at a time."""

TURN = 30.0
"""Seconds after which no more rows are leased, so that the dead are looked after, too."""

BEAT = 10
"""Seconds between two signs of life of `smsww_worker`."""


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
    with Delivery(backend, using, inline=inline, committed=committed) as delivery:
        for start in range(0, len(primary_keys), BLOCK):
            delivery.add(primary_keys[start : start + BLOCK])
            delivery.work_until(delivery.has_room)
        delivery.work_until(delivery.is_done)
    return delivery.errors


def deliver_due(
    backend: BaseSMSBackend,
    *,
    using: str,
    limit: int = 5000,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int], object] = lambda count: None,
) -> int:
    """Send up to `limit` queued rows of this backend whose time has come; return how many.

    Rows are leased in blocks while others are on their way, the urgent and the oldest first.

    Args:
        stop: asked now and then; once it says True, what has not left goes back to the queue, and
            this returns when the requests under way have been answered.
        progress: told how many more rows are done, as they are.
    """
    delivery = Delivery(backend, using, inline=False)
    sweep = Heartbeat.objects.using(using)
    sweep.beat(backend.environment, f"sweep:{backend.alias}", every=BEAT)
    delivery.rows.abandon()
    if delivery.gate.is_shut or delivery.must_rest():
        delivery.rows.give_up_late()  # a text must not outlive its time because of a pause
        return 0
    with delivery:
        return _take_turns(delivery, limit, stop, progress)


def count_due(backend: BaseSMSBackend, using: str, limit: int) -> int:
    """Return how many rows `deliver_due` would find now."""
    due = Delivery(backend, using, inline=False).rows.due(database_now(using))
    return due.order_by()[:limit].count()


def _take_turns(
    delivery: Delivery,
    limit: int,
    stop: Callable[[], bool],
    progress: Callable[[int], object],
) -> int:
    """Lease a block whenever the last one runs low, until nothing is due; return how many rows."""
    taken, done, is_empty, ends = 0, 0, False, elapsed() + TURN
    while not stop():
        if not is_empty and delivery.has_room():
            wanted = min(delivery.block, limit - taken) if elapsed() < ends else 0
            found = delivery.add_due(wanted) if wanted else 0
            taken, is_empty = taken + found, not wanted or found < wanted
        if is_empty and delivery.is_done():
            return taken
        delivery.step()
        finished = taken - len(delivery.unfinished)
        progress(finished - done)
        done = finished
        if delivery.is_resting():
            break
    return taken - delivery.give_back()
