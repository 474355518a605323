"""The records of a simulator: every accepted message, and every request that asked for one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from .behaviours import behaviour_of
from .clock import now
from .http import Request, Response
from .messages import Document, reference_of
from .store import SQLiteStore

FINAL_STATES = ("DELIVERED", "UNDELIVERABLE", "EXPIRED", "REJECTED")


@dataclass(frozen=True, slots=True)
class AcceptedMessage:
    """One accepted message: its present document, and the states that are still to come."""

    id: str
    route: str
    ending: str
    steps: tuple[str, ...]
    charged: int
    document: Document

    @classmethod
    def from_row(cls, row: Any) -> AcceptedMessage:
        """Read a row of the table ``messages``."""
        values: dict[str, Any] = {name: row[name] for name in cls.__slots__}
        steps, document = json.loads(row["steps"]), json.loads(row["document"])
        return cls(**values | {"steps": tuple(steps), "document": document})

    @property
    def is_over(self) -> bool:
        """Whether the message has a final state."""
        return self.document["state"] in FINAL_STATES

    def line(self) -> dict[str, Any]:
        """Return the facts of a message in the lists of the control endpoints."""
        return {
            "id": self.id,
            "reference": reference_of(self.document),
            "recipient": self.document["recipient"],
            "sender": self.document["sender"],
            "body": self.document["message"],
            "encoding": self.document["encoding"],
            "characters": self.document["charactersCount"],
            "segments": self.document["messageCount"],
            "state": self.document["state"],
            "over": self.is_over,
            "has_callback": bool(self.document["callback"]),
            "price": self.document["price"],
            "total_price": self.document["totalPrice"],
            "charged": f"{self.charged / 1_000_000:.6f}",
        }


class Ledger:
    """The accepted messages, in the order of acceptance."""

    def __init__(self, store: SQLiteStore) -> None:
        self._store = store

    def accept(self, document: Document, route: str, ending: str, due: float | None) -> None:
        """Record a message. A message that arrives twice has two records."""
        steps = behaviour_of(ending).steps
        self._store.insert(
            "messages",
            id=document["id"],
            accepted=now(),
            due=due if steps else None,
            route=route,
            ending=ending,
            steps=json.dumps(steps),
            charged=0,
            document=json.dumps(document),
        )

    def save(self, document: Document, steps: tuple[str, ...], due: float | None) -> None:
        """Store a message after a change, and the time of its next one."""
        self._store.execute(
            "UPDATE messages SET document = ?, steps = ?, due = ? WHERE id = ?",
            json.dumps(document),
            json.dumps(steps),
            due if steps else None,
            document["id"],
        )

    def add_charge(self, message_id: str, micro: int) -> None:
        """Add an amount that the account paid for a message."""
        self._store.execute(
            "UPDATE messages SET charged = charged + ? WHERE id = ?", micro, message_id
        )

    def get(self, message_id: str) -> AcceptedMessage | None:
        """Return one message, None if there is none with this id."""
        found = self._select("WHERE id = ?", message_id)
        return found[0] if found else None

    def page(
        self, skip: int, limit: int, *, oldest_first: bool = False, before: float | None = None
    ) -> list[AcceptedMessage]:
        """Return messages that were accepted before a moment, newest first."""
        order = "ASC" if oldest_first else "DESC"
        return self._select(
            f"WHERE accepted <= ? ORDER BY seq {order} LIMIT ? OFFSET ?",
            now() if before is None else before,
            limit,
            skip,
        )

    def due(self, moment: float) -> list[AcceptedMessage]:
        """Return some messages that are due for their next state."""
        return self._select("WHERE due <= ? ORDER BY due LIMIT 200", moment)

    def resume(self) -> None:
        """Continue the messages that were changing when the process ended."""
        self._store.execute(
            "UPDATE messages SET due = ? WHERE due IS NULL AND steps != '[]'", now()
        )

    def statement(self) -> list[dict[str, Any]]:
        """List every accepted message, oldest first."""
        return [message.line() for message in self._select("ORDER BY seq")]

    def _select(self, condition: str, *values: Any) -> list[AcceptedMessage]:
        rows = self._store.rows(f"SELECT * FROM messages {condition}", *values)  # noqa: S608  our own words
        return [AcceptedMessage.from_row(row) for row in rows]


class RequestLog:
    """Every POST of a message: recorded when it arrives, and again with its outcome."""

    def __init__(self, store: SQLiteStore) -> None:
        self._store = store

    def record(self, request: Request) -> int:
        """Record a request before its outcome is known; return its number."""
        try:
            fields = json.loads(request.body)
        except (ValueError, RecursionError):
            fields = None
        return self._store.insert("requests", reference=reference_of(fields), outcome="")

    def record_outcome(self, seq: int, outcome: str, response: Response) -> None:
        """Record the outcome (accepted, refused, or validated by a dry run) and the status."""
        status = 0 if response.manner in ("hang", "reset") else response.status
        self._store.execute(
            "UPDATE requests SET outcome = ?, status = ? WHERE seq = ?", outcome, status, seq
        )

    def statement(self) -> list[dict[str, Any]]:
        rows = self._store.rows("SELECT reference, outcome, status FROM requests ORDER BY seq")
        return [dict(row) for row in rows]
