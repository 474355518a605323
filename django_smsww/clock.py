"""Two clocks: `elapsed()` for this process, and `database_now()` for all hosts.

# Note [Clocks that jump]
- `elapsed()` does not jump. Time-outs and the deadlines of workers use this clock.
- `database_now()` jumps if the clock of the database server is changed. Then leases, expiry times,
  quotas and suspensions end too early or too late. If the clock jumps forward, a message may also
  become UNKNOWN while its request is still running, and a person may settle it too early. If the
  clock jumps back, some aliases send nothing until the clock shows the old time again: aliases with
  a rate limit, and aliases that just got a 429 response (`worker/rate_limit.py`).
- The clock of a host may be wrong. Then `sending/new_rows.py` writes a wrong `created_at`,
  `expires_at` and `next_attempt_at` into the new rows of this host. The messages of these rows
  expire, or are sent, too early or too late. `columns_of()` in `models/queryset.py` writes a wrong
  `updated_at` and `finished_at`, so `end_interrupted()` makes rows FAILED too early or too late. A
  Retry-After header with a date becomes a wrong pause. On SQLite, `database_now()` also uses the
  host's clock.

If USE_TZ is False, the functions of this module accept and return naive times in TIME_ZONE. So no
other module has to read USE_TZ.
"""

import time
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

from django.db import connections
from django.utils import timezone

from .test_runs import is_isolated

# Each query returns UTC, whatever the time zone of the session.
_QUERIES = {
    "postgresql": "SELECT clock_timestamp() AT TIME ZONE 'UTC'",
    "mysql": "SELECT UTC_TIMESTAMP(6)",
    "oracle": "SELECT SYS_EXTRACT_UTC(SYSTIMESTAMP) FROM DUAL",
}

DAY_SECONDS = 86_400

_FRESH = 1.0
"""`database_now()` queries again after this many seconds. Until then, it adds the elapsed time."""
_answers: dict[str, tuple[datetime, float, float]] = {}


def elapsed() -> float:
    """Return the seconds since a fixed moment. Setting the system clock does not change the result.

    On Linux, this clock also runs while the machine sleeps, but `time.monotonic()` pauses. After
    the sleep, a worker must notice that its lease has expired, because other workers may have taken
    its rows. On other systems, this function uses `time.monotonic()`.
    """
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def database_now(using: str) -> datetime:
    """Return the time of the database server: aware if USE_TZ is True, else naive.

    All hosts compare leases and expiry times with this time. So hosts with different clocks do not
    take each other's rows. On SQLite, there is no server, and the result is the time of this
    machine. In a test run, the result is `django.utils.timezone.now()`, which a test can freeze or
    move.
    """
    query = _QUERIES.get(connections[using].vendor)
    if query is None or is_isolated():
        return timezone.now()
    if using not in _answers or elapsed() - _answers[using][1] >= _FRESH:
        # The age counts from here, so that a slow answer is not used again: with an old time, a
        # lease would end too early.
        asked_at = elapsed()
        with connections[using].cursor() as cursor:
            cursor.execute(query)
            moment = cursor.fetchone()[0]
        # Our own clock is read last. If the process is stopped in between, it believes that it is
        # earlier, and so takes no rows whose lease still holds.
        _answers[using] = moment, asked_at, elapsed()
    moment, _, came_at = _answers[using]
    return project_time((moment + timedelta(seconds=elapsed() - came_at)).replace(tzinfo=UTC))


def clock_sql(using: str, seconds: float = 0) -> tuple[str, list[Any]]:
    """Return SQL for the database's time plus `seconds`, and the parameters of this SQL."""
    if connections[using].vendor == "postgresql" and not is_isolated():
        later = ("+ %s * interval '1 second'", [seconds]) if seconds else ("", [])
        return f"(clock_timestamp() {later[0]})", later[1]
    moment = database_now(using) + timedelta(seconds=seconds)
    return "%s", [connections[using].ops.adapt_datetimefield_value(moment)]


def uses_time_zones() -> bool:
    return timezone.is_aware(timezone.now())


def project_time(moment: datetime) -> datetime:
    """Convert an aware time to UTC. If USE_TZ is False, convert it to a naive time in TIME_ZONE."""
    if uses_time_zones():
        return moment.astimezone(UTC)
    return timezone.make_naive(moment, timezone.get_default_timezone())


def aware_time(moment: datetime) -> datetime:
    if timezone.is_aware(moment):
        return moment
    return timezone.make_aware(moment, timezone.get_default_timezone())


def local_time(moment: datetime, zone: tzinfo | None = None) -> datetime:
    """Convert a stored time to `zone`, or to the current time zone. A naive time is unchanged."""
    return timezone.localtime(moment, zone) if timezone.is_aware(moment) else moment


def rounded_up(at: datetime) -> datetime:
    """Round a time up to a whole minute.

    Pages and commands show times without seconds. Without rounding up, a page could name a time at
    which an action is not possible yet.
    """
    return (at + timedelta(minutes=1, microseconds=-1)).replace(second=0, microsecond=0)


def midnight(day: date, zone: tzinfo | None = None) -> datetime:
    """Return the first moment of a day in `zone`, or in the current time zone."""
    begins = datetime.combine(day, datetime.min.time())
    return timezone.make_aware(begins, zone) if uses_time_zones() else begins


def day_of(moment: datetime) -> date:
    """Return the date of a stored time in the setting TIME_ZONE, not in the current time zone."""
    return local_time(moment, timezone.get_default_timezone()).date()


def day_bounds(day: date) -> tuple[datetime, datetime]:
    """Return the beginning and the end of a day in the setting TIME_ZONE."""
    zone = timezone.get_default_timezone()
    return midnight(day, zone), midnight(day + timedelta(days=1), zone)


def window_of(now: datetime, seconds: int) -> tuple[datetime, datetime]:
    """Return the beginning and the end of the time window that contains `now`.

    `seconds` is the length of each window. The first window begins at the start of 1970 (UTC).
    There are no gaps between the windows.
    """
    since_1970 = int(aware_time(now.replace(microsecond=0)).timestamp())
    begins = datetime.fromtimestamp(since_1970 - since_1970 % seconds, UTC)
    return project_time(begins), project_time(begins + timedelta(seconds=seconds))
