"""Send queued rows: those that a caller names, or those that are due.

The order keeps the record true: lease, then SENDING, then the request, then the result. No
transaction of this package is open during a request.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..backends.base import BaseSMSBackend
from ..clock import database_now, elapsed
from ..exceptions import SMSError
from ..models import Heartbeat
from .worker import LEASE_ROWS, Worker

SWEEP_SECONDS = 30.0
"""How long `deliver_due` leases more rows; its caller looks after dead workers in between."""

HEARTBEAT_SECONDS = 10
"""The time between two heartbeats of `smsww_worker`."""


def deliver(
    backend: BaseSMSBackend,
    primary_keys: Sequence[int],
    *,
    using: str,
    inline: bool = False,
    committed: bool = False,
) -> dict[int, SMSError]:
    """Send the QUEUED rows among these that nobody has leased; return the errors by primary key.

    Args:
        using: the database alias.
        inline: a caller waits for the outcome, so a row that certainly was not sent becomes FAILED,
            and no worker tries it again.
        committed: the caller knows that the rows are committed, as in an on-commit hook.

    Raises:
        TransactionManagementError: a transaction is open, and the backend sends to the outside:
            a rollback would erase a message that was paid for.
    """
    with Worker(backend, using, inline=inline, committed=committed) as worker:
        for start in range(0, len(primary_keys), LEASE_ROWS):
            worker.add(primary_keys[start : start + LEASE_ROWS])
            worker.step_until(worker.needs_rows)
        worker.step_until(worker.is_done)
    return worker.errors


def deliver_due(
    backend: BaseSMSBackend,
    *,
    using: str,
    limit: int = 5000,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int], object] = lambda count: None,
    on_pause: Callable[[], object] = lambda: None,
) -> int:
    """Send up to `limit` queued rows of this backend whose time has come; return how many.

    Rows are leased in blocks while others are on their way, the urgent and the oldest first.

    Args:
        stop: called before each step. Once it returns True, unsent rows go back to the queue, and
            this function returns when the running requests have been answered.
        progress: called with the number of rows that are done since the last call.
        on_pause: called if a suspension of the whole alias holds all rows back.
    """
    worker = Worker(backend, using, inline=False)
    sweep = Heartbeat.objects.using(using)
    if sweep.beat(backend.environment, f"sweep:{backend.alias}", every=HEARTBEAT_SECONDS):
        worker.rows.end_interrupted()  # not each time: no index finds them in a long queue
    worker.rows.abandon()
    if is_suspended := worker.is_suspended:
        on_pause()
    if is_suspended or worker.must_rest():
        worker.rows.give_up_late()  # a pause must not keep a text longer than its time
        return 0
    with worker:
        return _sweep(worker, limit, stop, progress)


def count_due(backend: BaseSMSBackend, using: str, limit: int) -> int:
    """Return how many rows `deliver_due` would find now."""
    due = Worker(backend, using, inline=False).rows.due(database_now(using))
    return due.order_by()[:limit].count()


def _sweep(
    worker: Worker, limit: int, stop: Callable[[], bool], progress: Callable[[int], object]
) -> int:
    """Lease a block whenever the worker needs rows, until nothing is due; return how many rows."""
    leased, done, is_empty, ends = 0, 0, False, elapsed() + SWEEP_SECONDS
    while not stop():
        if not is_empty and worker.needs_rows():
            wanted = min(worker.block_size, limit - leased) if elapsed() < ends else 0
            found = worker.add_due(wanted) if wanted else 0
            leased, is_empty = leased + found, not wanted or found < wanted
        if is_empty and worker.is_done():
            return leased
        worker.step()
        finished = leased - len(worker.unfinished)
        progress(finished - done)
        done = finished
        if worker.must_pause():
            break
    return leased - worker.release()
