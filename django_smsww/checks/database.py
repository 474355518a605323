"""System checks of the database.

Only commands such as `migrate` and `check --database default` run the checks that query the
database.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.checks import Error, Tags, Warning, register  # noqa: A004
from django.db import DatabaseError, connections, router, transaction
from django.utils import timezone

from ..backends.base import BaseSMSBackend
from ..models import Heartbeat, Message
from .aliases import TAG, Messages, backends


@register(TAG)
def check_users(**kwargs: Any) -> Messages:
    """E005: report an error if messages and users are stored in different databases."""
    ours, theirs = router.db_for_write(Message), router.db_for_write(get_user_model())
    if ours == theirs:
        return []
    return [
        Error(
            f"The history is in the database {ours!r}, and the users are in {theirs!r}.",
            hint="Messages refer to the users who sent them, and no database checks a reference "
            "into another database. Let the router keep 'django_smsww' in the database of the "
            "users.",
            id="smsww.E005",
        )
    ]


@register(Tags.database)
def check_sweeper(databases: Sequence[str] | None = None, **kwargs: Any) -> Messages:
    """W010 (database): warn if queued messages wait, and no worker has run for an hour."""
    using = router.db_for_read(Message)
    if using not in (databases or ()):
        return []
    return [
        Warning(
            f"SMSWW[{alias!r}]: messages have been waiting for more than 10 minutes, and no "
            f"worker has run for an hour.",
            hint="Run `manage.py smsww_worker` as a service, or with --once from cron.",
            id="smsww.W010",
        )
        for alias, backend in backends()
        if _waits_in_vain(backend, using)
    ]


@register(Tags.database)
def check_time_zones(databases: Sequence[str] | None = None, **kwargs: Any) -> Messages:
    """W011 (database): warn if the database does not know the project's time zone."""
    using = router.db_for_write(Message)
    if using not in (databases or ()) or _knows_time_zones(using):
        return []
    return [
        Warning(
            f"The database {using!r} does not know the time zone "
            f"{timezone.get_default_timezone_name()!r}, so it cannot sum up days: pruning fails, "
            "and statistics lack days.",
            hint="Load the time zones: mariadb-tzinfo-to-sql /usr/share/zoneinfo | mariadb mysql "
            "(with MySQL: mysql_tzinfo_to_sql, and mysql).",
            id="smsww.W011",
        )
    ]


@register(Tags.database)
def check_characters(databases: Sequence[str] | None = None, **kwargs: Any) -> Messages:
    """W012 (database): warn if MariaDB or MySQL does not use utf8mb4, which emojis need."""
    using = router.db_for_write(Message)
    if using not in (databases or ()):
        return []
    return [
        Warning(
            f"The {place} of the database {using!r} has the character set {name!r}, which cannot "
            f"store an emoji: a message with an emoji is not stored, and so not sent.",
            hint="ALTER DATABASE … CHARACTER SET utf8mb4, and for each table of django_smsww "
            "ALTER TABLE … CONVERT TO CHARACTER SET utf8mb4; write 'charset': 'utf8mb4' into "
            "OPTIONS of DATABASES.",
            id="smsww.W012",
        )
        for place, name in _character_sets(using).items()
        if name != "utf8mb4"
    ]


def _character_sets(using: str) -> dict[str, str]:
    """Return the character sets of the message table and of the connection (MariaDB and MySQL).

    If the table does not exist yet, return the character set of the database instead of the
    table's. With other databases, return an empty dict.
    """
    connection = connections[using]
    if connection.vendor != "mysql":
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT COALESCE((SELECT character_set_name FROM information_schema.columns WHERE "
            "table_schema = DATABASE() AND table_name = %s AND column_name = 'body'), "
            "@@character_set_database), @@character_set_client",
            [Message._meta.db_table],
        )
        return dict(zip(("table of messages", "connection"), cursor.fetchone(), strict=True))


def _knows_time_zones(using: str) -> bool:
    connection, name = connections[using], timezone.get_default_timezone_name()
    if connection.vendor != "mysql" or name == connection.timezone_name:
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT CONVERT_TZ('2000-01-01', 'UTC', %s) IS NOT NULL", [name])
        return bool(cursor.fetchone()[0])


def _waits_in_vain(backend: BaseSMSBackend, using: str) -> bool:
    now = timezone.now()
    waiting = Message.objects.using(using).due(now - timedelta(minutes=10))
    sweeps = Heartbeat.objects.using(using).filter(
        environment=backend.environment,
        name=f"sweep:{backend.alias}",
        beat_at__gt=now - timedelta(hours=1),
    )
    try:
        with transaction.atomic(using=using):
            rows = waiting.of(backend.alias, backend.environment)
            return rows.exists() and not sweeps.exists()
    except DatabaseError:  # before the first migration there are no tables
        return False
