"""Every POST that asked for a message, whatever became of it."""

from __future__ import annotations

import json
from typing import Any

from .clock import now
from .http import Request, Response
from .messages import reference_of
from .store import Store


class Journal:
    """Requests are written when they arrive and again when they were decided."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def arrive(self, request: Request) -> int:
        """Record a request before anything is decided; return its number."""
        cursor = self._store.execute(
            "INSERT INTO requests (arrived, path, body, outcome) VALUES (?, ?, ?, '')",
            now(),
            request.path,
            request.body.decode("utf-8", "replace"),
        )
        return cursor.lastrowid or 0

    def decide(self, seq: int, outcome: str, response: Response, message_id: str = "") -> None:
        """Record the outcome: accepted, validated (a dry run) or refused; and the status told."""
        self._store.execute(
            "UPDATE requests SET outcome = ?, status = ?, message_id = ? WHERE seq = ?",
            outcome,
            0 if response.manner in ("hang", "reset") else response.status,
            message_id,
            seq,
        )

    def statement(self) -> list[dict[str, Any]]:
        """List the requests in plain terms, oldest first."""
        return [_line(row) for row in self._store.rows("SELECT * FROM requests ORDER BY seq")]


def _line(row: Any) -> dict[str, Any]:
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
