"""The callbacks: kept until they were answered with exactly 200 or their attempts are used up."""

from __future__ import annotations

import json
import queue
import threading
import zlib
from typing import Any

from .clock import now
from .messages import Document
from .posting import may_post_to, post_callback
from .profiles import Profiles
from .store import Store, StoreClosed
from .variants import VARIANTS, Planned

LOST_STATUS = 504
_WORKERS = 8


class Courier:
    """Posts callbacks in threads; those of one message leave in the order of their changes."""

    def __init__(
        self,
        store: Store,
        profiles: Profiles,
        wake: threading.Event,
        *,
        pace: float = 0.5,
    ) -> None:
        self._store, self._profiles, self._wake = store, profiles, wake
        self._pace = pace
        self._queues = [queue.SimpleQueue[int | None]() for _ in range(_WORKERS)]
        self._threads = [
            threading.Thread(target=self._work, args=(waiting,), daemon=True)
            for waiting in self._queues
        ]

    def start(self) -> None:
        """Start, with what a former process left undone."""
        self._store.execute(
            "UPDATE callbacks SET due = ? WHERE completed IS NULL AND due IS NULL", now()
        )
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the workers; one that waits for a receiver ends with the process."""
        for waiting in self._queues:
            waiting.put(None)
        deadline = now() + 1
        for thread in self._threads:
            thread.join(max(0, deadline - now()))

    def plan(
        self, document: Document, variant: str, *, is_last: bool, at_once: bool = False
    ) -> list[int]:
        """Record the callbacks of a change of state, due now unless the caller posts them."""
        if not document["callback"]:
            return []
        planned = VARIANTS[variant](document, is_last)
        owner = document["id"]
        return [self._insert(each, owner, at_once=at_once) for each in planned]

    def repeat(self, document: Document, variant: str) -> None:
        """Record the callback of a message as it is now once more."""
        self.plan(document, variant, is_last=True)
        self._wake.set()

    def statement(self, message_ids: list[str]) -> dict[str, list[dict[str, Any]]]:
        """List the callbacks of these messages, the oldest first."""
        found: dict[str, list[dict[str, Any]]] = {each: [] for each in message_ids}
        places = ", ".join("?" * len(message_ids))
        rows = self._store.rows(
            f"SELECT * FROM callbacks WHERE message_id IN ({places}) ORDER BY seq",  # noqa: S608  question marks alone
            *message_ids,
        )
        for row in rows:
            found[row["message_id"]].append(_line(row))
        return found

    def dispatch_due(self) -> None:
        """Hand the callbacks that are due to the workers."""
        rows = self._store.rows(
            "SELECT seq, message_id FROM callbacks WHERE due <= ? ORDER BY due, seq LIMIT 500",
            now(),
        )
        with self._store.transaction():
            for row in rows:
                self._store.execute("UPDATE callbacks SET due = NULL WHERE seq = ?", row["seq"])
        for row in rows:
            worker = zlib.crc32(row["message_id"].encode()) % _WORKERS
            self._queues[worker].put(row["seq"])

    def post(self, seq: int) -> None:
        """Post one callback and record the answer, or when it is tried again."""
        row = self._store.row("SELECT * FROM callbacks WHERE seq = ?", seq)
        if row is None:  # the simulator was reset meanwhile
            return
        document = json.loads(row["document"])
        started = now()
        status = 0
        if may_post_to(document["callback"]["url"]):
            status = post_callback(document, self._profiles)
        self._record(seq, row, document["callback"]["retry"], started, status)

    def _record(self, seq: int, row: Any, retry: int, started: float, status: int) -> None:
        attempt, ended = row["attempt"] + 1, now()
        is_over = status == 200 or attempt > retry
        self._store.execute(
            "UPDATE callbacks SET attempt = ?, status = ?, elapsed = ?, completed = ?, due = ?"
            " WHERE seq = ?",
            attempt,
            status,
            int((ended - started) * 1000),
            ended if is_over else None,
            None if is_over else ended + self._pace * 2 ** (attempt - 1),
            seq,
        )
        if not is_over:
            self._wake.set()

    def _insert(self, planned: Planned, owner: str, *, at_once: bool) -> int:
        moment = now()
        due = None if at_once or planned.lost else moment + planned.delay * self._pace
        lost = (moment, LOST_STATUS, 1) if planned.lost else (None, None, 0)
        cursor = self._store.execute(
            "INSERT INTO callbacks (message_id, document, due, completed, status, attempt)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            owner,
            json.dumps(planned.document),
            due,
            *lost,
        )
        return cursor.lastrowid or 0

    def _work(self, waiting: queue.SimpleQueue[int | None]) -> None:
        while (seq := waiting.get()) is not None:
            try:
                self.post(seq)
            except StoreClosed:
                return


def _line(row: Any) -> dict[str, Any]:
    is_over = row["completed"] is not None
    return {
        "state": json.loads(row["document"])["state"],
        "attempts": row["attempt"],
        "status": row["status"],
        "lost": is_over and row["status"] == LOST_STATUS and row["elapsed"] is None,
        "over": is_over,
    }
