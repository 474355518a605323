"""The records of a simulator: every accepted message, and every request that asked for one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from .behaviours import Behaviour, behaviour_of
from .clock import now
from .http import Request, Response
from .messages import Document, reference_of
from .store import SQLiteStore


@dataclass(frozen=True, slots=True)
class AcceptedMessage:
    """One accepted message: its present document, and the states that are still to come."""

    id: str
    route: str
    reference: str
    accepted: float
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
    def behaviour(self) -> Behaviour:
        """The behaviour that was chosen when the gateway accepted the message."""
        return behaviour_of(self.ending)

    def summary(self) -> dict[str, Any]:
        """Return the facts that every list of the control endpoints has."""
        return {
            "id": self.id,
            "recipient": self.document["recipient"],
            "sender": self.document["sender"],
            "body": self.document["message"],
            "encoding": self.document["encoding"],
            "segments": self.document["messageCount"],
            "state": self.document["state"],
            "created_at": self.document["createdAt"],
        }

    def ledger_line(self) -> dict[str, Any]:
        """Return the facts of the ledger, which judges the accounting of the client."""
        return self.summary() | {
            "reference": self.reference,
            "route": self.route,
            "price": self.document["price"],
            "total_price": self.document["totalPrice"],
            "charged": f"{self.charged / 1_000_000:.6f}",
            "accepted": self.accepted,
            "updated_at": self.document["updatedAt"],
            "sent_at": self.document["sentAt"],
            "delivered_at": self.document["deliveredAt"],
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
            reference=reference_of(document["callback"]),
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

    def due(self, moment: float, limit: int = 200) -> list[AcceptedMessage]:
        """Return the messages that are due for their next state."""
        return self._select("WHERE due <= ? ORDER BY due LIMIT ?", moment, limit)

    def resume(self) -> None:
        """Continue the messages that were changing when the process ended."""
        self._store.execute(
            "UPDATE messages SET due = ? WHERE due IS NULL AND steps != '[]'", now()
        )

    def statement(self, reference: str = "") -> list[dict[str, Any]]:
        """List every accepted message, oldest first; or those with this reference."""
        chosen = ("WHERE reference = ? ORDER BY seq", reference) if reference else ("ORDER BY seq",)
        return [message.ledger_line() for message in self._select(*chosen)]

    def _select(self, condition: str, *values: Any) -> list[AcceptedMessage]:
        rows = self._store.rows(f"SELECT * FROM messages {condition}", *values)  # noqa: S608  our own words
        return [AcceptedMessage.from_row(row) for row in rows]


class RequestLog:
    """Every POST of a message: recorded when it arrives, and again with its outcome."""

    def __init__(self, store: SQLiteStore) -> None:
        self._store = store

    def record(self, request: Request) -> int:
        """Record a request before its outcome is known; return its number."""
        body = request.body.decode("utf-8", "replace")
        return self._store.insert(
            "requests", arrived=now(), path=request.path, body=body, outcome=""
        )

    def record_outcome(
        self, seq: int, outcome: str, response: Response, message_id: str = ""
    ) -> None:
        """Record the outcome (accepted, refused, or validated by a dry run) and the status."""
        self._store.execute(
            "UPDATE requests SET outcome = ?, status = ?, message_id = ? WHERE seq = ?",
            outcome,
            0 if response.manner in ("hang", "reset") else response.status,
            message_id,
            seq,
        )

    def statement(self) -> list[dict[str, Any]]:
        """List the requests, oldest first."""
        rows = self._store.rows("SELECT * FROM requests ORDER BY seq")
        return [_request_line(row) for row in rows]


def _request_line(row: Any) -> dict[str, Any]:
    try:
        body = json.loads(row["body"])
    except (ValueError, RecursionError):
        body = None
    fields: dict[str, Any] = body if isinstance(body, dict) else {}
    options = fields.get("options")
    return {
        "number": row["seq"],
        "arrived": row["arrived"],
        "path": row["path"],
        "recipient": fields.get("recipient"),
        "sender": fields.get("sender"),
        "body": fields.get("message"),
        "reference": reference_of(fields.get("callback")),
        "dry_run": isinstance(options, dict) and options.get("dryRun") is True,
        "outcome": row["outcome"],
        "status": row["status"],
        "message_id": row["message_id"] or "",
    }
