"""What one user may see in the history of messages: numbers and texts, prices, callbacks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from ..exceptions import InsufficientCredit
from .event import Event
from .message import Message

HIDDEN = "•••••"
"""The text that replaces each hidden value. It does not show how long the value is."""

PRICES = frozenset({"price", "totalPrice", "total_price"})
"""The names of prices in the payloads of callbacks (specification 1.2.7) and of look-ups."""

CONTENT_FIELDS = frozenset(
    {"recipient", "recipient_reversed", "redirected_to", "body", "key", "custom"}
    | {"blocklisted_reason", "payload", "reason"}
)
"""Fields that may contain a telephone number, the text of a message, or a person's name."""

COST_FIELDS = frozenset({"price", "total_price", "penalty"})


@dataclass(frozen=True, slots=True)
class Viewer:
    """The permissions of one user to see parts of the history of messages."""

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
        """The names of the fields that the user may not see, in all models of the history."""
        content: frozenset[str] = frozenset() if self.sees_content else CONTENT_FIELDS
        return content if self.sees_costs else content | COST_FIELDS

    def may_read_error(self, row: Message | Event) -> bool:
        """Return True if the user may read the error text of this row.

        An error text with amounts of money needs the permission `view_message_costs`.
        """
        return self.sees_costs or row.error != InsufficientCredit.__name__

    def payload(self, payload: Any) -> Any:
        """Return a callback's payload without the parts that the user may not see.

        The custom data in a payload may contain numbers and texts. So users without the permission
        `view_message_content` get `HIDDEN` instead of the payload.
        """
        if not self.sees_content:
            return HIDDEN
        return payload if self.sees_costs else without_prices(payload)


def without_prices(value: Any) -> Any:
    """Return a copy of a JSON value, in which `HIDDEN` replaces each price."""
    if isinstance(value, list):
        return [without_prices(element) for element in value]
    if not isinstance(value, dict):
        return value
    return {
        name: HIDDEN if name in PRICES else without_prices(element)
        for name, element in value.items()
    }
