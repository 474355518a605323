"""Two clocks: `elapsed()` of this process, and `database_now()`, which all hosts share."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from django.db import connections
from django.utils import timezone

# Each answers in UTC, whatever the time zone of the session.
_QUERIES = {
    "postgresql": "SELECT clock_timestamp() AT TIME ZONE 'UTC'",
    "mysql": "SELECT UTC_TIMESTAMP(6)",
    "oracle": "SELECT SYS_EXTRACT_UTC(SYSTIMESTAMP) FROM DUAL",
}


_FRESH = 1.0
"""Seconds from the question on for which an answer is believed, and counted on from."""
_answers: dict[str, tuple[datetime, float, float]] = {}


def elapsed() -> float:
    """Return seconds since some moment in the past, which no change of the system clock moves.

    On Linux `time.monotonic()` stops while the machine is suspended. A worker that woke up would
    believe that its lease had just begun, while others took its rows over long ago. So this clock
    counts the time of a suspension too. Other systems offer no such clock to Python.
    """
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def database_now(using: str) -> datetime:
    """Return the database server's time, aware or naive as the project's USE_TZ asks.

    Leases and expiries are compared with this, so that hosts whose clocks disagree do not take
    each other's rows. SQLite has no server: its clock is the one of this machine.
    """
    query = _QUERIES.get(connections[using].vendor)
    if query is None:
        return timezone.now()
    if using not in _answers or elapsed() - _answers[using][1] >= _FRESH:
        # So an answer that took long is not believed again: a lease would end too early by it.
        asked_at = elapsed()
        with connections[using].cursor() as cursor:
            cursor.execute(query)
            moment = cursor.fetchone()[0]
        # Our own clock last: a process that is stopped in between believes that it is earlier,
        # and takes no lease of others for one that is over.
        _answers[using] = moment, asked_at, elapsed()
    moment, _, came_at = _answers[using]
    return _as_stored(moment + timedelta(seconds=elapsed() - came_at))


def _as_stored(moment: datetime) -> datetime:
    moment = moment.replace(tzinfo=UTC)
    if timezone.is_naive(timezone.now()):  # USE_TZ = False
        return timezone.make_naive(moment, timezone.get_default_timezone())
    return moment
