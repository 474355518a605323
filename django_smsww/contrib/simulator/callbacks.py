"""Plan callbacks for each change of a message, and post the callbacks.

A callback is posted again until the receiver answers 200, or until no attempts are left.
"""

import json
import queue
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .clock import new_id, new_number, now
from .messages import Document, as_pending
from .posting import may_post_to, post_callback
from .profiles import Profiles
from .store import SQLiteStore, StoreClosed

_WORKERS = 8
_LATE_DELAYS = 20
_FORGED = "forged"


@dataclass(frozen=True, slots=True)
class PlannedCallback:
    """A callback. It is due ``delay * state_delay`` seconds after a change of its message."""

    document: Document
    delay: int = 0
    lost: bool = False


def _reversed(document: Document, is_last: bool) -> list[PlannedCallback]:
    if not is_last:
        return []
    return [PlannedCallback(document), PlannedCallback(as_pending(document), delay=1)]


def _forged(document: Document, is_last: bool) -> list[PlannedCallback]:
    """Plan a callback with wrong headers and signatures, and then the true callback."""
    callback = document["callback"]
    headers = dict.fromkeys(callback.get("headers", {}), _FORGED)
    custom = _with_forged_signatures(callback.get("custom", {}))
    forged = {**document, "state": "REJECTED", "deliveredAt": None}
    forged["callback"] = {**callback, "headers": headers, "custom": custom}
    return [PlannedCallback(forged), PlannedCallback(document)]


def _foreign(document: Document, is_last: bool) -> list[PlannedCallback]:
    another = new_number() if document["id"].isdecimal() else new_id()
    foreign = {**document, "id": another, "state": "REJECTED", "deliveredAt": None}
    return [PlannedCallback(foreign), PlannedCallback(document)]


VARIANTS: dict[str, Callable[[Document, bool], list[PlannedCallback]]] = {
    "true": lambda document, is_last: [PlannedCallback(document)],
    "lost": lambda document, is_last: [PlannedCallback(document, lost=True)],
    "twice": lambda document, is_last: [PlannedCallback(document)] * 2,
    "late": lambda document, is_last: [PlannedCallback(document, delay=_LATE_DELAYS)],
    "reversed": _reversed,
    "forged": _forged,
    "foreign": _foreign,
}


def _with_forged_signatures(custom: dict[str, Any]) -> dict[str, Any]:
    def forge(members: list[tuple[str, Any]]) -> dict[str, Any]:
        return {name: _FORGED if name == "signature" else value for name, value in members}

    forged: dict[str, Any] = json.loads(json.dumps(custom), object_pairs_hook=forge)
    return forged


class CallbackSender:
    """Posts callbacks in threads. Callbacks of one message keep the order of their due times.

    The event ``wake`` tells the `Lifecycle` thread that a callback may be due.
    """

    def __init__(self, store: SQLiteStore, profiles: Profiles, state_delay: float) -> None:
        self._store, self._profiles, self._state_delay = store, profiles, state_delay
        self.wake = threading.Event()
        self._queues = [queue.SimpleQueue[int | None]() for _ in range(_WORKERS)]
        self._threads = [
            threading.Thread(target=self._work, args=(waiting,), daemon=True)
            for waiting in self._queues
        ]

    def start(self) -> None:
        """Start the threads, and continue callbacks that an earlier process has not finished."""
        self._store.execute(
            "UPDATE callbacks SET due = ? WHERE completed IS NULL AND due IS NULL", now()
        )
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop the threads, and wait up to one second for their end."""
        for waiting in self._queues:
            waiting.put(None)
        deadline = now() + 1
        for thread in self._threads:
            thread.join(max(0, deadline - now()))

    def plan(
        self, document: Document, variant: str, *, is_last: bool, at_once: bool = False
    ) -> list[int]:
        """Record the callbacks of VARIANTS[variant] for one change. Return their sequence numbers.

        If ``at_once`` is True, the caller must post the callbacks. If not, the threads post them.
        """
        if not document["callback"]:
            return []
        planned = VARIANTS[variant](document, is_last)
        return [self._record(each, document["id"], at_once=at_once) for each in planned]

    def repeat(self, document: Document, variant: str) -> None:
        """Plan callbacks with the current state of the message. The threads post them."""
        self.plan(document, variant, is_last=True)
        self.wake.set()

    def statement(self, message_ids: list[str]) -> dict[str, list[dict[str, Any]]]:
        """Return the callbacks of each of these messages, oldest first."""
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
        """Put the due callbacks into the queues of the threads."""
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
        """Post one callback. Record its status and, if needed, the time of the next attempt."""
        row = self._store.row("SELECT * FROM callbacks WHERE seq = ?", seq)
        if row is None:  # the simulator was reset meanwhile
            return
        document = json.loads(row["document"])
        callback = document["callback"]
        is_allowed = may_post_to(callback["url"])
        status = post_callback(document, self._profiles) if is_allowed else 0
        self._record_attempt(seq, row["attempt"] + 1, callback["retry"], status)

    def _record_attempt(self, seq: int, attempt: int, retry: int, status: int) -> None:
        ended = now()
        is_over = status == 200 or attempt > retry
        self._store.execute(
            "UPDATE callbacks SET attempt = ?, status = ?, completed = ?, due = ? WHERE seq = ?",
            attempt,
            status,
            ended if is_over else None,
            None if is_over else ended + self._state_delay * 2 ** (attempt - 1),
            seq,
        )
        if not is_over:
            self.wake.set()

    def _record(self, planned: PlannedCallback, message_id: str, *, at_once: bool) -> int:
        moment, is_lost = now(), planned.lost
        return self._store.insert(
            "callbacks",
            message_id=message_id,
            document=json.dumps(planned.document),
            due=None if at_once or is_lost else moment + planned.delay * self._state_delay,
            completed=moment if is_lost else None,
        )

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
        "status": row["status"],
        "lost": is_over and row["status"] is None,
        "over": is_over,
    }
