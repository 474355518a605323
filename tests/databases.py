"""New, empty databases for other processes, beside the one of the suite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from django.conf import settings


@contextmanager
def new_database(folder: Path) -> Iterator[str]:
    """Yield the URL of a SQLite file, or of a database where the suite runs on PostgreSQL."""
    configured = settings.DATABASES["default"]
    if not configured["ENGINE"].endswith("postgresql"):
        yield f"sqlite:///{folder}/project.sqlite3"
        return
    import psycopg

    name = f"smsww_{uuid4().hex}"
    place = "{USER}@{HOST}:{PORT}".format(**configured)
    with psycopg.connect(f"postgres://{place}/postgres", autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        yield f"postgres://{place}/{name}"
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")
