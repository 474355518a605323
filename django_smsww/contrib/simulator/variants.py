"""Which callbacks follow from a change of state, the true ones and the spoiled ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .clock import new_id
from .messages import Document, as_pending

LATE_PACES = 20
_FORGED = "forged"


@dataclass(frozen=True, slots=True)
class Planned:
    """One callback to post: its message as it is now, after a delay of so many paces."""

    document: Document
    delay: int = 0
    lost: bool = False


Variant = Callable[[Document, bool], list[Planned]]


def _reversed(document: Document, is_last: bool) -> list[Planned]:
    return [Planned(document), Planned(as_pending(document), delay=1)] if is_last else []


def _forge(document: Document, is_last: bool) -> list[Planned]:
    """Keep what a stranger could guess, and spoil every value that could prove the origin."""
    callback = document["callback"]
    headers = dict.fromkeys(callback.get("headers", {}), _FORGED)
    custom = _with_forged_signatures(callback.get("custom", {}))
    forged = {**document, "state": "REJECTED", "deliveredAt": None}
    forged["callback"] = {**callback, "headers": headers, "custom": custom}
    return [Planned(forged), Planned(document)]


def _foreign(document: Document, is_last: bool) -> list[Planned]:
    foreign = {**document, "id": new_id(), "state": "REJECTED", "deliveredAt": None}
    return [Planned(foreign), Planned(document)]


VARIANTS: dict[str, Variant] = {
    "true": lambda document, is_last: [Planned(document)],
    "lost": lambda document, is_last: [Planned(document, lost=True)],
    "twice": lambda document, is_last: [Planned(document), Planned(document)],
    "late": lambda document, is_last: [Planned(document, delay=LATE_PACES)],
    "reversed": _reversed,
    "forged": _forge,
    "foreign": _foreign,
}


def _with_forged_signatures(custom: dict[str, Any]) -> dict[str, Any]:
    def forge(members: list[tuple[str, Any]]) -> dict[str, Any]:
        return {name: _FORGED if name == "signature" else value for name, value in members}

    forged: dict[str, Any] = json.loads(json.dumps(custom), object_pairs_hook=forge)
    return forged
