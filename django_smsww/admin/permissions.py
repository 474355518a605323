"""What a member of staff may see: numbers and texts, and prices, each by its own permission."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from ..exceptions import InsufficientCredit
from ..models import Event, Message

HIDDEN = "•••••"
"""Stands for what is not shown; as long for a long value as for a short one."""

PRICES = frozenset({"price", "totalPrice", "total_price"})
"""What a callback calls them (specification 1.2.7), and what we call them in a look-up."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """One user's view of the history."""

    sees_content: bool
    sees_costs: bool
    sees_callbacks: bool = False

    @classmethod
    def of(cls, request: HttpRequest) -> Viewer:
        """Return what the user of this request may see."""
        may = request.user.has_perm
        return cls(
            sees_content=may("django_smsww.view_message_content"),
            sees_costs=may("django_smsww.view_message_costs"),
            sees_callbacks=may("django_smsww.view_callback"),
        )

    def content(self, value: str) -> str:
        """Return a number or a text, or what stands for it."""
        return value if self.sees_content else HIDDEN

    def may_read_error(self, row: Message | Event) -> bool:
        """Whether the error's text may be shown: that of an empty wallet names the amounts."""
        return self.sees_costs or row.error != InsufficientCredit.__name__

    def payload(self, payload: Any) -> Any:
        """Return what may be shown of a callback's payload; custom data may hold anything."""
        if not self.sees_content:
            return HIDDEN
        return payload if self.sees_costs else without_prices(payload)


def without_prices(value: Any) -> Any:
    """Return a copy of a JSON value in which no price can be read."""
    if isinstance(value, list):
        return [without_prices(element) for element in value]
    if not isinstance(value, dict):
        return value
    return {
        name: HIDDEN if name in PRICES else without_prices(element)
        for name, element in value.items()
    }
