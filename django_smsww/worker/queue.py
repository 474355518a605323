"""Send queued rows: the rows that a caller chooses, or all rows that are due.

A worker leases a row, makes the row SENDING, makes the request, and then writes the result. So if
the process dies, the state of the row shows whether the request may have begun. This package keeps
no transaction open during a request.
"""

from collections import Counter
from collections.abc import Callable, Sequence

from ..backends.base import BaseSMSBackend
from ..clock import database_now, elapsed
from ..exceptions import SMSError
from ..models import Heartbeat
from .worker import LEASE_ROWS, Worker

SWEEP_SECONDS = 30.0
"""For how many seconds one call of `deliver_due()` leases new rows."""

HEARTBEAT_SECONDS = 10
"""The minimum time in seconds between two heartbeats of `smsww_worker` for one alias."""


def deliver(
    backend: BaseSMSBackend,
    primary_keys: Sequence[int],
    *,
    using: str,
    inline: bool = False,
    committed: bool = False,
) -> dict[int, SMSError]:
    """Send the given rows that are QUEUED and not leased; return the errors by primary key.

    Args:
        using: the database alias.
        inline: True if a caller waits for the outcome. Then a row that certainly was not sent
            becomes FAILED, and no worker tries the row again.
        committed: True if the rows are certainly committed. Then an open transaction is allowed.

    Raises:
        TransactionManagementError: a transaction is open, `committed` is False, and the backend
            really sends. A rollback would delete the row of a message that was paid for.
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
    counts: Counter[tuple[str, str]] | None = None,
) -> int:
    """Send up to `limit` due rows of this backend, and return how many rows were handled.

    Rows with the highest priority are sent first. Rows of equal priority are sent by due time.
    Return 0 if the alias is suspended, or must wait long for its rate limit.

    Args:
        stop: called repeatedly. After `stop()` returns True, unsent rows go back to the queue, and
            `deliver_due()` returns when the running requests have ended.
        progress: called repeatedly with the number of rows that were finished since the last call.
        on_pause: called if the whole alias is suspended. Then no row is sent.
        counts: gets the numbers of sent, cancelled and postponed messages; see `Worker`.
    """
    worker = Worker(backend, using, inline=False, counts=counts)
    sweep = Heartbeat.objects.using(using)
    if sweep.beat(backend.environment, f"sweep:{backend.alias}", every=HEARTBEAT_SECONDS):
        worker.rows.end_interrupted()  # rarely: no index serves this query in a long queue
    worker.rows.abandon()
    if is_suspended := worker.is_suspended:
        on_pause()
    if is_suspended or worker.must_rest():
        worker.rows.give_up_late()  # a pause must not keep expired rows and their texts
        return 0
    with worker:
        return _sweep(worker, limit, stop, progress)


def count_due(backend: BaseSMSBackend, using: str, limit: int) -> int:
    due = Worker(backend, using, inline=False).rows.due(database_now(using))
    return due.order_by()[:limit].count()


def _sweep(
    worker: Worker, limit: int, stop: Callable[[], bool], progress: Callable[[int], object]
) -> int:
    """Lease and send due rows in blocks; return how many rows were leased and not released."""
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
