"""Every POST that asked for a message, whatever became of it."""

from __future__ import annotations

import json
from typing import Any

from .clock import iso, now
from .documents import reference_of
from .exchange import Request, Response
from .store import Store


class Journal:
    """Requests are written when they arrive and again when they were decided."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def arrive(self, request: Request) -> int:
        """Record a request before anything is decided; return its number."""
        cursor = self._store.execute(
            "INSERT INTO requests (arrived, path, body, outcome, client) VALUES (?, ?, ?, '', ?)",
            now(),
            request.path,
            request.body.decode("utf-8", "replace"),
            request.client,
        )
        return cursor.lastrowid or 0

    def decide(self, seq: int, outcome: str, response: Response, message_id: str = "") -> None:
        """Record the outcome: accepted, validated (a dry run) or refused; and the status told."""
        code, text = _error_of(response)
        self._store.execute(
            "UPDATE requests SET outcome = ?, status = ?, code = ?, error = ?, message_id = ?"
            " WHERE seq = ?",
            outcome,
            0 if response.manner in ("hang", "reset") else response.status,
            code,
            text,
            message_id,
            seq,
        )

    def statement(self) -> list[dict[str, Any]]:
        """List the requests in plain terms, oldest first."""
        return [_line(row) for row in self._store.rows("SELECT * FROM requests ORDER BY seq")]

    def errors(self, skip: int, limit: int) -> list[dict[str, Any]]:
        """List the refused requests, newest first, in the platform's shape."""
        rows = self._store.rows(
            "SELECT * FROM requests WHERE status >= 400 ORDER BY seq DESC LIMIT ? OFFSET ?",
            limit,
            skip,
        )
        return [
            {
                "id": f"{int(row['arrived']):08x}{row['seq']:016x}",
                "scope": f"POST:sms.openapi.com{row['path']}",
                "domain": "sms.openapi.com",
                "errorAt": iso(row["arrived"]),
                "httpResponseCode": row["status"],
                "errorCode": row["code"],
                "message": row["error"],
                "ip": row["client"],
            }
            for row in rows
        ]


def _error_of(response: Response) -> tuple[float | None, str]:
    if response.status < 400 or response.content_type != "application/json" or not response.body:
        return None, ""
    body = json.loads(response.body)
    return body.get("code", body.get("error")), body["message"]


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
