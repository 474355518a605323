"""Empty databases: that of the suite after a test, and new ones beside it for other processes."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit
from uuid import uuid4

from django.conf import settings
from django.db import connections, transaction
from django.test import TransactionTestCase

FILLED_BY_MIGRATE = {"auth_permission", "django_content_type"}


def empty_tables(test: TransactionTestCase) -> None:
    """Delete the rows of all tables that a test may have filled, after it."""
    for alias in test._databases_names(include_mirrors=False):
        connection = connections[alias]
        names = set(connection.introspection.django_table_names(only_existing=True))
        # In one transaction: with a commit for each table, a server would wait for its disk.
        with (
            connection.constraint_checks_disabled(),
            transaction.atomic(alias),
            connection.cursor() as cursor,
        ):
            for name in sorted(names - FILLED_BY_MIGRATE):
                cursor.execute(f"DELETE FROM {connection.ops.quote_name(name)}")


@contextmanager
def new_database(folder: Path) -> Iterator[str]:
    """Yield the URL of a SQLite file, or of a database on the server that the suite runs on."""
    configured = settings.DATABASES["default"]
    server = SERVERS.get(configured["ENGINE"].rpartition(".")[2])
    if server is None:
        yield f"sqlite:///{folder}/project.sqlite3"
        return
    name = f"smsww_{uuid4().hex}"
    with server(_place(configured)) as (place, execute):
        execute(f"CREATE DATABASE {name}")
        yield f"{place}/{name}"
        # A process that was killed may still seem to be connected to it.
        force = "WITH (FORCE)" if place.startswith("postgres") else ""
        execute(f"DROP DATABASE {name} {force}")


def _place(database: dict[str, Any]) -> str:
    """Return the part of a URL that says where the server is, and who logs in."""
    log_in = (quote(text, safe="") for text in (database["USER"], database["PASSWORD"]) if text)
    return f"{':'.join(log_in)}@{database['HOST']}:{database['PORT']}"


@contextmanager
def postgresql(place: str) -> Iterator[tuple[str, Callable[[str], object]]]:
    import psycopg

    with psycopg.connect(f"postgres://{place}/postgres", autocommit=True) as server:
        yield f"postgres://{place}", server.execute


@contextmanager
def mariadb(place: str) -> Iterator[tuple[str, Callable[[str], object]]]:
    import MySQLdb

    parts = urlsplit(f"mysql://{place}")
    user, password = (unquote(text or "") for text in (parts.username, parts.password))
    address = {"host": parts.hostname, "port": parts.port or 3306}
    with closing(MySQLdb.connect(user=user, password=password, **address)) as server:
        yield f"mysql://{place}", server.query


SERVERS = {"postgresql": postgresql, "mysql": mariadb}
