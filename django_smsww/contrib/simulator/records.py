"""The simulator's records: all accepted messages, and all POST requests that contain a message."""

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
    """An accepted message. ``document`` is its JSON object. ``steps`` are the states to come."""

    id: str
    route: str
    ending: str
    steps: tuple[str, ...]
    charged: int
    document: Document

    @classmethod
    def from_row(cls, row: Any) -> AcceptedMessage:
        values: dict[str, Any] = {name: row[name] for name in cls.__slots__}
        steps, document = json.loads(row["steps"]), json.loads(row["document"])
        return cls(**values | {"steps": tuple(steps), "document": document})

    @property
    def is_over(self) -> bool:
        return self.document["state"] in FINAL_STATES

    def line(self) -> dict[str, Any]:
        """Return the message in the format of the control endpoints below /_simulator/."""
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
    """The table of accepted messages, in the order in which the simulator accepted them."""

    def __init__(self, store: SQLiteStore) -> None:
        self._store = store

    def accept(self, document: Document, route: str, ending: str, due: float | None) -> None:
        """Record an accepted message. A message that arrives twice gets two records."""
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
        """Store a message after a change of state, with the time of its next change."""
        self._store.execute(
            "UPDATE messages SET document = ?, steps = ?, due = ? WHERE id = ?",
            json.dumps(document),
            json.dumps(steps),
            due if steps else None,
            document["id"],
        )

    def add_charge(self, message_id: str, micro: int) -> None:
        """Add an amount to the total charge of a message, in millionths of a euro."""
        self._store.execute(
            "UPDATE messages SET charged = charged + ? WHERE id = ?", micro, message_id
        )

    def get(self, message_id: str) -> AcceptedMessage | None:
        found = self._select("WHERE id = ?", message_id)
        return found[0] if found else None

    def page(
        self, skip: int, limit: int, *, oldest_first: bool = False, before: float | None = None
    ) -> list[AcceptedMessage]:
        """Return the messages accepted until the time `before`, by default newest first."""
        order = "ASC" if oldest_first else "DESC"
        return self._select(
            f"WHERE accepted <= ? ORDER BY seq {order} LIMIT ? OFFSET ?",
            now() if before is None else before,
            limit,
            skip,
        )

    def due(self, moment: float) -> list[AcceptedMessage]:
        """Return up to 200 messages whose next change of state is due."""
        return self._select("WHERE due <= ? ORDER BY due LIMIT 200", moment)

    def resume(self) -> None:
        """Continue the messages that `Lifecycle.rush` had not finished before the restart."""
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
    """The log of all POST requests that contain a message. The outcome is added later."""

    def __init__(self, store: SQLiteStore) -> None:
        self._store = store

    def record(self, request: Request) -> int:
        """Record a request that has just arrived, and return the number of the record."""
        try:
            fields = json.loads(request.body)
        except (ValueError, RecursionError):
            fields = None
        return self._store.insert("requests", reference=reference_of(fields), outcome="")

    def record_outcome(self, seq: int, outcome: str, response: Response) -> None:
        """Add the outcome, such as "accepted", and the HTTP status (0 if there is no answer)."""
        status = 0 if response.manner in ("hang", "reset") else response.status
        self._store.execute(
            "UPDATE requests SET outcome = ?, status = ? WHERE seq = ?", outcome, status, seq
        )

    def statement(self) -> list[dict[str, Any]]:
        rows = self._store.rows("SELECT reference, outcome, status FROM requests ORDER BY seq")
        return [dict(row) for row in rows]
