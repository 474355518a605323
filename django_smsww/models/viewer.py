"""The rights of one user in the history: numbers and texts, and prices, each by a permission."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from ..exceptions import InsufficientCredit
from .event import Event
from .message import Message

HIDDEN = "•••••"
"""Stands for every masked value, so that its length reveals nothing."""

PRICES = frozenset({"price", "totalPrice", "total_price"})
"""Their names in callbacks (specification 1.2.7), and ours in look-ups."""

CONTENT_FIELDS = frozenset(
    {"recipient", "recipient_reversed", "redirected_to", "body", "key", "custom"}
    | {"blocklisted_reason", "payload", "reason"}
)
"""Fields that may hold a number, a text or a name."""

COST_FIELDS = frozenset({"price", "total_price", "penalty"})


@dataclass(frozen=True, slots=True)
class Viewer:
    """One user's view of the history."""

    sees_content: bool
    sees_costs: bool
    sees_callbacks: bool = False

    @classmethod
    def of(cls, request: HttpRequest) -> Viewer:
        may = request.user.has_perm
        return cls(
            sees_content=may("django_smsww.view_message_content"),
            sees_costs=may("django_smsww.view_message_costs"),
            sees_callbacks=may("django_smsww.view_callback"),
        )

    @property
    def hidden_fields(self) -> frozenset[str]:
        """The fields of messages, callbacks, events and the do-not-send list to hide."""
        content: frozenset[str] = frozenset() if self.sees_content else CONTENT_FIELDS
        return content if self.sees_costs else content | COST_FIELDS

    def may_read_error(self, row: Message | Event) -> bool:
        """Whether to show the text of an error; that of an empty wallet names amounts."""
        return self.sees_costs or row.error != InsufficientCredit.__name__

    def payload(self, payload: Any) -> Any:
        """Return a callback's payload, masked if need be; its custom data may hold anything."""
        if not self.sees_content:
            return HIDDEN
        return payload if self.sees_costs else without_prices(payload)


def without_prices(value: Any) -> Any:
    """Return a copy of a JSON value with masked prices."""
    if isinstance(value, list):
        return [without_prices(element) for element in value]
    if not isinstance(value, dict):
        return value
    return {
        name: HIDDEN if name in PRICES else without_prices(element)
        for name, element in value.items()
    }
