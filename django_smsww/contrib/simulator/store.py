"""The simulator's database: one SQLite file. The data survive a restart of the simulator."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS requests (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, reference TEXT, status INTEGER, outcome TEXT);
CREATE TABLE IF NOT EXISTS messages (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE, accepted REAL, due REAL,
    route TEXT, ending TEXT, steps TEXT, charged INTEGER, document TEXT);
CREATE INDEX IF NOT EXISTS messages_due ON messages (due) WHERE due IS NOT NULL;
CREATE TABLE IF NOT EXISTS callbacks (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, message_id TEXT, document TEXT, due REAL,
    completed REAL, attempt INTEGER DEFAULT 0, status INTEGER);
CREATE INDEX IF NOT EXISTS callbacks_due ON callbacks (due) WHERE due IS NOT NULL;
CREATE INDEX IF NOT EXISTS callbacks_message ON callbacks (message_id);
CREATE TABLE IF NOT EXISTS tokens (token TEXT PRIMARY KEY, expires REAL, detail TEXT);
CREATE TABLE IF NOT EXISTS account (name TEXT PRIMARY KEY, value);
"""
_TABLES = ("requests", "messages", "callbacks", "tokens", "account")


class StoreClosed(Exception):
    """A thread used the store after the simulator had stopped. The thread should end."""


class SQLiteStore:
    """An SQLite connection for several threads. Without a path, the file is temporary."""

    def __init__(self, path: str = "") -> None:
        self._lock = threading.RLock()
        self._depth = 0
        self._connection: sqlite3.Connection | None = sqlite3.connect(
            path, timeout=10, isolation_level=None, check_same_thread=False
        )
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode = WAL")
        # A kill of this process loses nothing. A power cut might, and is not simulated.
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.executescript(_SCHEMA)

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        """Run one SQL statement. Outside `transaction`, the statement is committed at once."""
        with self._lock:
            return self._open().execute(sql, values)

    def insert(self, table: str, **values: Any) -> int:
        names, places = ", ".join(values), ", ".join("?" * len(values))
        sql = f"INSERT INTO {table} ({names}) VALUES ({places})"  # noqa: S608  our own names
        return self.execute(sql, *values.values()).lastrowid or 0

    def rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        with self._lock:
            return self._open().execute(sql, values).fetchall()

    def row(self, sql: str, *values: Any) -> sqlite3.Row | None:
        return next(iter(self.rows(sql, *values)), None)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit all statements of the `with` block together, or none. The blocks can be nested."""
        with self._lock:
            connection = self._open()
            if self._depth == 0:
                connection.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._leave(connection, "ROLLBACK")
                raise
            self._leave(connection, "COMMIT")

    def clear(self) -> None:
        with self.transaction():
            for table in _TABLES:
                self.execute(f"DELETE FROM {table}")  # noqa: S608  our own names

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreClosed
        return self._connection

    def _leave(self, connection: sqlite3.Connection, verb: str) -> None:
        self._depth -= 1
        if self._depth == 0:
            connection.execute(verb)
