"""Requests and responses of the simulator, apart from sockets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import Any


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, read completely."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Message
    body: bytes = b""
    client: str = "127.0.0.1"

    def json(self) -> Any:
        """Decode the body; refuse with 400 what is not JSON."""
        if not self.headers.get("Content-Type", "").lower().startswith("application/json"):
            raise platform_error(400, "Content-Type must be application/json")
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise platform_error(400, "Malformed JSON") from None

    def fields(self) -> dict[str, Any]:
        """Decode a body that must be a JSON object."""
        fields = self.json()
        if not isinstance(fields, dict):
            raise platform_error(422, "The request body must be an object.")
        return fields

    def number(self, name: str, default: int, *, maximum: int | None = None) -> int:
        """Read a whole number from the query; what is not one is refused with 400."""
        text = self.query.get(name, str(default))
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise platform_error(400, "Query error", 190)
        return int(text) if maximum is None else min(int(text), maximum)


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, and in ``manner`` how its bytes leave (see delivery.MANNERS)."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    manner: str = "whole"


class Refusal(Exception):
    """Ends the handling of a request with this response."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


def json_response(payload: Any, status: int = 200) -> Response:
    """Answer with JSON; pure ASCII, so that any text survives."""
    return Response(status, json.dumps(payload).encode("ascii"))


def gateway_error(status: int, code: int, message: str) -> Refusal:
    """Refuse in the envelope of the SMS service: ``{code, message}``."""
    return Refusal(json_response({"code": code, "message": message}, status))


def platform_envelope(message: str, error: float | None = None) -> dict[str, Any]:
    """Give the error body that all services of the platform share."""
    return {"success": False, "message": message, "error": error, "data": None}


def platform_error(status: int, message: str, error: float | None = None) -> Refusal:
    """Refuse in the envelope of the platform: ``{success, message, error, data}``."""
    return Refusal(json_response(platform_envelope(message, error), status))
