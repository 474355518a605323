"""Decide by hand what becomes of messages, and what of their callbacks."""

from __future__ import annotations

from typing import Any

from .http import Request, Response, json_response, platform_error
from .records import Entry
from .world import World

OUTCOMES = ("PENDING", "DELIVERED", "UNDELIVERABLE", "EXPIRED", "REJECTED")
CALLBACKS = ("true", "lost", "twice", "late")
"""What may happen to a callback: it comes, is lost, comes twice, or comes late (variants.py)."""

_MOST_SHOWN = 300


class Hand:
    """The endpoints that the page with the telephones asks."""

    def __init__(self, world: World) -> None:
        self._world = world

    def messages(self, request: Request) -> Response:
        """List the newest messages with their callbacks, and whether messages stand still."""
        entries = self._world.ledger.page(0, _MOST_SHOWN)
        callbacks = self._world.courier.statement([entry.id for entry in entries])
        shown = [_shown(entry, callbacks[entry.id]) for entry in entries]
        return json_response({"held": self._world.lifecycle.is_held, "messages": shown})

    def hold(self, request: Request) -> Response:
        """{"held": true}: no message moves by itself any more; false lets them go on."""
        held = request.fields().get("held")
        if not isinstance(held, bool):
            raise platform_error(422, "held must be true or false")
        self._world.lifecycle.hold(held)
        return json_response({"held": held})

    def decide(self, request: Request) -> Response:
        """{"id": "…", "state": "EXPIRED", "callbacks": "late"}: what becomes of a message."""
        fields = {"callbacks": "true", **request.fields()}
        if fields.get("state") not in OUTCOMES:
            raise platform_error(422, f"state must be one of {', '.join(OUTCOMES)}")
        variant = _variant(fields)
        with self._world.store.transaction():
            entry = self._entry(fields)
            if _is_over(entry):
                raise platform_error(409, f"It has ended: {entry.document['state']}")
            self._world.lifecycle.decide(entry, fields["state"], variant)
        return json_response({"id": entry.id, "state": fields["state"]})

    def repeat(self, request: Request) -> Response:
        """{"id": "…", "callbacks": "true"}: say once more what the message is now."""
        fields = {"callbacks": "true", **request.fields()}
        variant, entry = _variant(fields), self._entry(fields)
        if not entry.document["callback"]:
            raise platform_error(409, "It was sent without a callback")
        self._world.courier.repeat(entry.document, variant)
        return json_response({"id": entry.id, "state": entry.document["state"]})

    def _entry(self, fields: dict[str, Any]) -> Entry:
        entry = self._world.ledger.get(str(fields.get("id")))
        if entry is None:
            raise platform_error(404, "There is no such message")
        return entry


def _variant(fields: dict[str, Any]) -> str:
    variant = fields["callbacks"]
    if variant not in CALLBACKS:
        raise platform_error(422, f"callbacks must be one of {', '.join(CALLBACKS)}")
    return str(variant)


def _is_over(entry: Entry) -> bool:
    return entry.document["state"] in OUTCOMES[1:]


def _shown(entry: Entry, callbacks: list[dict[str, Any]]) -> dict[str, Any]:
    document = entry.document
    return {
        "id": entry.id,
        "recipient": document["recipient"],
        "sender": document["sender"],
        "body": document["message"],
        "encoding": document["encoding"],
        "characters": document["charactersCount"],
        "segments": document["messageCount"],
        "state": document["state"],
        "created_at": document["createdAt"],
        "over": _is_over(entry),
        "has_callback": bool(document["callback"]),
        "callbacks": callbacks,
    }
