"""Fill a PostgreSQL database with messages that look like a year's: `fill(url, 1_000_000)`."""

import psycopg

from tests.support.processes import manage

SETTINGS = "tests.benchmarks.settings"
ENVIRONMENT = "benchmarks"
ROWS_A_TIME = 100_000

TEMPLATE = """
from datetime import timedelta
from django.utils import timezone
from django_smsww.models import Callback, Message
message = Message.objects.create(
    alias="default", environment="benchmarks", recipient="+393330000000", sender="Openapi",
    body="The report that you asked for is ready: sign in to read it.", encoding="GSM-7",
    characters=59, segments=1, route="WW", country="IT", prefix="39", price="0.05",
    total_price="0.05", provider_id="template", expires_at=timezone.now() + timedelta(days=1),
    attempts=1, claimed_at=timezone.now(), sent_at=timezone.now(), tag="reports",
)
Callback.objects.create(
    message=message, reference=message.reference, outcome="moved", provider_id="template",
    state="DELIVERED", digest="template",
    payload={"data": {
        "id": "0123456789abcdef01234567", "state": "DELIVERED", "sender": "Openapi",
        "internationalPrefix": "39", "countryCode": "IT", "encoding": "GSM-7",
        "charactersCount": 59, "messageCount": 1, "price": "0.05", "totalPrice": "0.05",
        "blocklisted": False, "blocklistedReason": None, "isOtp": False,
        "options": {"dryRun": False, "failOnMultipleMessages": False},
        "createdAt": "2026-03-01T10:00:00+00:00", "updatedAt": "2026-03-01T10:05:00+00:00",
        "sentAt": "2026-03-01T10:01:00+00:00", "deliveredAt": "2026-03-01T10:05:00+00:00",
    }, "custom": {"_smsww": {"reference": "01234567-89ab-cdef-0123-456789abcdef",
                             "environment": "benchmarks"}}},
)
"""

MESSAGE = {
    "reference": "gen_random_uuid()",
    "recipient": "'+39333' || lpad(n::text, 7, '0')",
    "recipient_reversed": "reverse('39333' || lpad(n::text, 7, '0'))",
    "provider_id": "substr(md5(n::text), 1, 24)",
    "fingerprint": "md5(n::text) || md5((-n)::text)",
    "created_at": "now() - make_interval(secs => 31536000.0 * (%(count)s - n) / %(count)s)",
    # Some are still on their way, spread over the table.
    "state": "CASE WHEN n %% %(every)s = 0 THEN 'NEW' ELSE 'DELIVERED' END",
}
CALLBACK = {
    "message_id": "message.id",
    "reference": "message.reference",
    "digest": "md5(message.id::text) || md5(k::text)",
    "state": "CASE k WHEN 1 THEN 'PENDING' ELSE 'DELIVERED' END",
    "received_at": "message.created_at + make_interval(secs => k)",
}


def fill(url: str, count: int, *, every: int = 1, callbacks: int = 0) -> None:
    """Create the tables and so many messages.

    Args:
        every: one of so many is still NEW, the others are DELIVERED.
        callbacks: how many were heard of each message.
    """
    manage(url, "migrate", "--verbosity", "0", DJANGO_SETTINGS_MODULE=SETTINGS)
    manage(url, code=f"import django; django.setup()\n{TEMPLATE}", DJANGO_SETTINGS_MODULE=SETTINGS)
    with psycopg.connect(url, autocommit=True) as connection:
        for first in range(1, count + 1, ROWS_A_TIME):
            last = min(first + ROWS_A_TIME - 1, count)
            values = {"count": count, "every": every, "first": first, "last": last}
            series = "generate_series(%(first)s::bigint, %(last)s) AS n"
            _copy(connection, "django_smsww_message", MESSAGE, series, values)
        if callbacks:
            _copy_callbacks(connection, callbacks)
        connection.execute("VACUUM ANALYZE")


def _copy_callbacks(connection: psycopg.Connection, callbacks: int) -> None:
    [last] = connection.execute("SELECT max(id) FROM django_smsww_message").fetchone()
    for first in range(2, last + 1, ROWS_A_TIME):
        values = {"first": first, "last": first + ROWS_A_TIME - 1, "callbacks": callbacks}
        source = (
            "(SELECT * FROM django_smsww_message WHERE id BETWEEN %(first)s AND %(last)s)"
            " AS message, generate_series(1, %(callbacks)s) AS k"
        )
        _copy(connection, "django_smsww_callback", CALLBACK, source, values)


def _copy(
    connection: psycopg.Connection,
    table: str,
    changes: dict[str, str],
    source: str,
    values: dict[str, int],
) -> None:
    """Insert the first row of a table once for each row of the source, with these changes."""
    query = "SELECT column_name FROM information_schema.columns WHERE table_name = %s"
    columns = [name for [name] in connection.execute(query, [table]) if name != "id"]
    chosen = ", ".join(changes.get(name, f"template.{name}") for name in columns)
    connection.execute(
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {chosen}"
        f" FROM (SELECT * FROM {table} ORDER BY id LIMIT 1) AS template, {source}",
        values,
    )
