"""Two clocks, `elapsed()` of this process and `database_now()` of all hosts, and their times.

Where a project sets USE_TZ to False, the times that it stores are naive, and of its TIME_ZONE. The
functions below take and return both kinds, so that no other module has to ask.
"""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

from django.db import connections
from django.utils import timezone

from .test_runs import is_isolated

# Each answers in UTC, whatever the time zone of the session.
_QUERIES = {
    "postgresql": "SELECT clock_timestamp() AT TIME ZONE 'UTC'",
    "mysql": "SELECT UTC_TIMESTAMP(6)",
    "oracle": "SELECT SYS_EXTRACT_UTC(SYSTIMESTAMP) FROM DUAL",
}


DAY_SECONDS = 86_400

_FRESH = 1.0
"""For so many seconds after asking, `database_now` adds to the last answer instead of asking."""
_answers: dict[str, tuple[datetime, float, float]] = {}


def elapsed() -> float:
    """Return the seconds since a fixed moment, even if somebody sets the system clock.

    On Linux `time.monotonic()` stops while the machine is suspended. A worker that woke up would
    believe that its lease had just begun, while others took its rows over long ago. So this clock
    counts the time of a suspension too. Other systems offer no such clock to Python.
    """
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def database_now(using: str) -> datetime:
    """Return the database server's time, aware or naive as the project's USE_TZ asks.

    Leases and expiries are compared with this, so that hosts whose clocks disagree do not take
    each other's rows. SQLite has no server: its clock is the one of this machine. In a test run it
    is Django's clock, which tests freeze and move.
    """
    query = _QUERIES.get(connections[using].vendor)
    if query is None or is_isolated():
        return timezone.now()
    if using not in _answers or elapsed() - _answers[using][1] >= _FRESH:
        # Counted from here, so that a slow answer is not used again: a lease would end too early.
        asked_at = elapsed()
        with connections[using].cursor() as cursor:
            cursor.execute(query)
            moment = cursor.fetchone()[0]
        # Our own clock last: a process that is stopped in between believes that it is earlier,
        # and takes no lease of others for one that is over.
        _answers[using] = moment, asked_at, elapsed()
    moment, _, came_at = _answers[using]
    return project_time((moment + timedelta(seconds=elapsed() - came_at)).replace(tzinfo=UTC))


def clock_sql(using: str, seconds: float = 0) -> tuple[str, list[Any]]:
    """Return SQL and parameters for the database's time plus `seconds`.

    On PostgreSQL the SQL reads the clock itself, which saves a query for the time.
    """
    if connections[using].vendor == "postgresql" and not is_isolated():
        later = ("+ %s * interval '1 second'", [seconds]) if seconds else ("", [])
        return f"(clock_timestamp() {later[0]})", later[1]
    moment = database_now(using) + timedelta(seconds=seconds)
    return "%s", [connections[using].ops.adapt_datetimefield_value(moment)]


def uses_time_zones() -> bool:
    """Tell whether the project stores aware times."""
    return timezone.is_aware(timezone.now())


def project_time(moment: datetime) -> datetime:
    """Return an aware time as the project stores it: in UTC, or naive."""
    if uses_time_zones():
        return moment.astimezone(UTC)
    return timezone.make_naive(moment, timezone.get_default_timezone())


def aware_time(moment: datetime) -> datetime:
    """Return a stored time as an aware one."""
    if timezone.is_aware(moment):
        return moment
    return timezone.make_aware(moment, timezone.get_default_timezone())


def local_time(moment: datetime, zone: tzinfo | None = None) -> datetime:
    """Return a stored time in the current time zone, or in this one."""
    return timezone.localtime(moment, zone) if timezone.is_aware(moment) else moment


def midnight(day: date, zone: tzinfo | None = None) -> datetime:
    """Return the stored time at which a day begins in the current time zone, or in this one."""
    begins = datetime.combine(day, datetime.min.time())
    return timezone.make_aware(begins, zone) if uses_time_zones() else begins


def day_of(moment: datetime) -> date:
    """Return the day of a stored time in the project's TIME_ZONE, not in the user's."""
    return local_time(moment, timezone.get_default_timezone()).date()


def day_bounds(day: date) -> tuple[datetime, datetime]:
    """Return the stored times at which a day of the project's TIME_ZONE begins and ends."""
    zone = timezone.get_default_timezone()
    return midnight(day, zone), midnight(day + timedelta(days=1), zone)


def window_of(now: datetime, seconds: int) -> tuple[datetime, datetime]:
    """Return the window of so many seconds, counted from 1970 on, that this moment is in."""
    since_1970 = int(aware_time(now.replace(microsecond=0)).timestamp())
    begins = datetime.fromtimestamp(since_1970 - since_1970 % seconds, UTC)
    return project_time(begins), project_time(begins + timedelta(seconds=seconds))
