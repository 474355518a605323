"""What is asked before anything is done with messages."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext

from ...models import Message
from ..formatting import badge, money, phone_number
from ..permissions import HIDDEN, Viewer
from .base import Deed


def question(rows: list[Message], deed: Deed, viewer: Viewer) -> dict[str, Any]:
    """Return what the confirmation says: what it is about, what not, and what it costs."""
    leaving = [row for row in rows if not deed.why_not(row)]
    return {
        "leaving": [_line(row, viewer) for row in leaving],
        "leaving_text": deed.leaves(len(leaving)),
        "staying": [(row, deed.why_not(row)) for row in rows if deed.why_not(row)],
        "segments": sum(row.segments or 0 for row in leaving),
        "countries": named_countries(Counter(row.country for row in leaving)),
        "sees_costs": viewer.sees_costs,
        **_costs(leaving, deed),
    }


def named_countries(counted: Counter[str]) -> list[tuple[str, int]]:
    """Return how many messages go to each country, the most frequent first."""
    return [(country or gettext("not known"), n) for country, n in counted.most_common()]


def _costs(leaving: list[Message], deed: Deed) -> dict[str, Any]:
    known = [row.total_price for row in leaving if row.total_price is not None]
    said = deed.cost(money(sum(known, Decimal(0)))) if known else ""
    return {"known_cost": said, "without_cost": len(leaving) - len(known)}


def _line(message: Message, viewer: Viewer) -> dict[str, Any]:
    return {
        "message": message,
        "number": phone_number(message.recipient) if viewer.sees_content else HIDDEN,
        "country": message.country,
        "badge": badge(message.state),
        "cost": money(message.total_price),
    }
