"""Every message that was accepted: the judge of what was sent, and how often."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from .behaviours import DELIVERED, TEST_NUMBERS, Behaviour
from .clock import now
from .messages import Document, reference_of
from .store import Store


@dataclass(frozen=True, slots=True)
class Entry:
    """One accepted message: what it is now, and the states it still goes through."""

    id: str
    route: str
    reference: str
    accepted: float
    ending: str
    steps: tuple[str, ...]
    charged: int
    document: Document

    @property
    def behaviour(self) -> Behaviour:
        """What was decided for it when it was accepted."""
        return TEST_NUMBERS.get(self.ending, DELIVERED)


class Ledger:
    """The accepted messages in the order of their acceptance."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def accept(self, document: Document, route: str, ending: str, due: float | None) -> None:
        """Record a message, each time it is sent anew."""
        steps = TEST_NUMBERS.get(ending, DELIVERED).steps
        self._store.execute(
            "INSERT INTO messages (id, accepted, due, route, reference, behaviour, steps, charged,"
            " document) VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?)",
            document["id"],
            now(),
            due if steps else None,
            route,
            reference_of(document["callback"]),
            ending,
            json.dumps(steps),
            json.dumps(document),
        )

    def save(self, document: Document, steps: tuple[str, ...], due: float | None) -> None:
        """Store what became of a message, and when it moves again."""
        self._store.execute(
            "UPDATE messages SET document = ?, steps = ?, due = ? WHERE id = ?",
            json.dumps(document),
            json.dumps(steps),
            due if steps else None,
            document["id"],
        )

    def add_charge(self, message_id: str, micro: int) -> None:
        """Note what the account paid for a message."""
        self._store.execute(
            "UPDATE messages SET charged = charged + ? WHERE id = ?", micro, message_id
        )

    def get(self, message_id: str) -> Entry | None:
        """Return one message."""
        row = self._store.row("SELECT * FROM messages WHERE id = ?", message_id)
        return _entry(row) if row else None

    def page(
        self, skip: int, limit: int, *, oldest_first: bool = False, before: float | None = None
    ) -> list[Entry]:
        """Return messages accepted before a moment, newest first."""
        order = "ASC" if oldest_first else "DESC"
        rows = self._store.rows(
            f"SELECT * FROM messages WHERE accepted <= ? ORDER BY seq {order} LIMIT ? OFFSET ?",  # noqa: S608  one of two words
            now() if before is None else before,
            limit,
            skip,
        )
        return [_entry(row) for row in rows]

    def due(self, moment: float, limit: int = 200) -> list[Entry]:
        """Return the messages whose next step is due."""
        rows = self._store.rows(
            "SELECT * FROM messages WHERE due <= ? ORDER BY due LIMIT ?", moment, limit
        )
        return [_entry(row) for row in rows]

    def resume(self) -> None:
        """Let messages go on that were being moved when the process ended."""
        self._store.execute(
            "UPDATE messages SET due = ? WHERE due IS NULL AND steps != '[]'", now()
        )

    def statement(self, reference: str = "") -> list[dict[str, Any]]:
        """List every accepted message in plain terms, oldest first."""
        condition, values = ("WHERE reference = ?", [reference]) if reference else ("", [])
        rows = self._store.rows(f"SELECT * FROM messages {condition} ORDER BY seq", *values)  # noqa: S608
        return [_line(_entry(row)) for row in rows]


def _entry(row: Any) -> Entry:
    return Entry(
        id=row["id"],
        route=row["route"],
        reference=row["reference"],
        accepted=row["accepted"],
        ending=row["behaviour"],
        steps=tuple(json.loads(row["steps"])),
        charged=row["charged"],
        document=json.loads(row["document"]),
    )


def _line(entry: Entry) -> dict[str, Any]:
    document = entry.document
    return {
        "id": entry.id,
        "reference": entry.reference,
        "route": entry.route,
        "recipient": document["recipient"],
        "sender": document["sender"],
        "body": document["message"],
        "encoding": document["encoding"],
        "segments": document["messageCount"],
        "state": document["state"],
        "price": document["price"],
        "total_price": document["totalPrice"],
        "charged": f"{entry.charged / 1_000_000:.6f}",
        "accepted": entry.accepted,
        "created_at": document["createdAt"],
        "updated_at": document["updatedAt"],
        "sent_at": document["sentAt"],
        "delivered_at": document["deliveredAt"],
    }
