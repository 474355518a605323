"""The one clock that several hosts share: the database's."""

from __future__ import annotations

from datetime import UTC, datetime

from django.db import connections
from django.utils import timezone

# Each answers in UTC, whatever the time zone of the session.
_QUERIES = {
    "postgresql": "SELECT clock_timestamp() AT TIME ZONE 'UTC'",
    "mysql": "SELECT UTC_TIMESTAMP(6)",
    "oracle": "SELECT SYS_EXTRACT_UTC(SYSTIMESTAMP) FROM DUAL",
}


def database_now(using: str) -> datetime:
    """Return the database server's time, aware or naive as the project's USE_TZ asks.

    Leases and expiries are compared with this, so that hosts whose clocks disagree do not take
    each other's rows. SQLite has no server: its clock is the one of this machine.
    """
    query = _QUERIES.get(connections[using].vendor)
    if query is None:
        return timezone.now()
    with connections[using].cursor() as cursor:
        cursor.execute(query)
        return _as_stored(cursor.fetchone()[0])


def _as_stored(moment: datetime) -> datetime:
    moment = moment.replace(tzinfo=UTC)
    if timezone.is_naive(timezone.now()):  # USE_TZ = False
        return timezone.make_naive(moment, timezone.get_default_timezone())
    return moment
