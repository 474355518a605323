"""New, empty databases for other processes, beside the one of the suite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

from django.conf import settings


@contextmanager
def new_database(folder: Path) -> Iterator[str]:
    """Yield the URL of a SQLite file, or of a database on the server that the suite runs on."""
    configured = settings.DATABASES["default"]
    server = SERVERS.get(configured["ENGINE"].rpartition(".")[2])
    if server is None:
        yield f"sqlite:///{folder}/project.sqlite3"
        return
    name = f"smsww_{uuid4().hex}"
    with server("{USER}@{HOST}:{PORT}".format(**configured)) as (place, execute):
        execute(f"CREATE DATABASE {name}")
        yield f"{place}/{name}"
        # A process that was killed may still seem to be connected to it.
        force = "WITH (FORCE)" if place.startswith("postgres") else ""
        execute(f"DROP DATABASE {name} {force}")


@contextmanager
def postgresql(place: str) -> Iterator[tuple[str, Callable[[str], object]]]:
    import psycopg

    with psycopg.connect(f"postgres://{place}/postgres", autocommit=True) as server:
        yield f"postgres://{place}", server.execute


@contextmanager
def mariadb(place: str) -> Iterator[tuple[str, Callable[[str], object]]]:
    import MySQLdb

    user, _, address = place.partition("@")
    host, _, port = address.partition(":")
    with closing(MySQLdb.connect(user=user, host=host, port=int(port))) as server:
        yield f"mysql://{place}", server.query


SERVERS = {"postgresql": postgresql, "mysql": mariadb}
