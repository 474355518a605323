"""Merge the provider's facts into a row: prices, counts, times, everything but the state.

Callbacks and answers arrive late, twice and in any order. So a fact always fills an empty field,
but replaces a value only if it comes from a newer version of the provider's record.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db import connections
from django.db.models import Model
from django.db.models.expressions import RawSQL

from ..sms import SendResult
from ..states import SETTLED_BY_PROVIDER
from .sql import adapted, expression, field_of

_COUNTS = ("encoding", "characters", "segments")
_PLAIN = (*_COUNTS, "country", "prefix", "sent_at", "delivered_at")
_PRICES = ("price", "total_price")

FINE = Decimal(1)
"""EUR for each segment of forbidden content, worldwide (specification 1.2.7)."""


def merge(model: type[Model], result: SendResult, using: str) -> dict[str, Any]:
    """Return the values for `update()` that merge the facts of this result into its row.

    `provider_updated_at` comes last, since the others are compared with it: MariaDB assigns from
    left to right, and a later expression reads the values that it has just written.
    """
    merging = _Merging(model, result, using)
    changes: dict[str, Any] = {
        name: merging.newer(name, getattr(result, name))
        for name in _PLAIN
        if getattr(result, name) not in ("", None)
    }
    changes |= _prices(merging, result)
    if result.provider_id:
        changes["provider_id"] = merging.first("provider_id", result.provider_id)
    if result.blocklisted:  # the provider never takes that back
        changes["blocklisted"] = True
        # It may quote the text, which a scrubbed row has forgotten.
        changes["blocklisted_reason"] = merging.unless_scrubbed(result.blocklisted_reason)
        changes["penalty"] = merging.penalty(result)
    if result.updated_at:
        changes["provider_updated_at"] = merging.newer("provider_updated_at", result.updated_at)
    return changes


def replace(result: SendResult) -> dict[str, Any]:
    """Return the values for `update()` that replace all facts of a row by those of this result."""
    counts = {name: getattr(result, name) for name in _COUNTS if getattr(result, name)}
    plain = {name: getattr(result, name) for name in _PLAIN if name not in _COUNTS}
    prices = {name: getattr(result, name) for name in _PRICES}
    if result.state not in SETTLED_BY_PROVIDER:  # until then zero means "not known yet"
        prices = {name: price or None for name, price in prices.items()}
    return {
        **counts,
        **plain,
        **prices,
        "provider_id": result.provider_id,
        "provider_updated_at": result.updated_at,
        "blocklisted": result.blocklisted,
        "blocklisted_reason": result.blocklisted_reason,
        "penalty": None,
    }


def _prices(merging: _Merging, result: SendResult) -> dict[str, RawSQL]:
    """Merge the prices. Zero means "not known yet" until the provider is done with the message."""
    prices: dict[str, RawSQL] = {}
    for name in _PRICES:
        value = getattr(result, name)
        if value:
            prices[name] = merging.newer(name, value, f"OR {name} = 0")
        elif value is not None and result.state in SETTLED_BY_PROVIDER:
            prices[name] = merging.first(name, value)
    return prices


class _Merging:
    """Writes the expressions; see Note [Why not the ORM]."""

    def __init__(self, model: type[Model], result: SendResult, using: str) -> None:
        self.model = model
        self.connection = connections[using]
        self.updated_at = self._adapted("provider_updated_at", result.updated_at)

    def first(self, name: str, value: Any, otherwise: str = "", *params: Any) -> RawSQL:
        """Write the value if the field is empty or the condition is true."""
        field = field_of(self.model, name)
        empty = f"{name} IS NULL" if field.null else f"{name} = ''"
        return expression(
            f"CASE WHEN {empty} {otherwise} THEN %s ELSE {name} END",
            [*params, self._adapted(name, value)],
            field,
        )

    def newer(self, name: str, value: Any, otherwise: str = "") -> RawSQL:
        """Write the value if the field is empty or our version of the record is older."""
        if self.updated_at is None:
            return self.first(name, value, f"OR provider_updated_at IS NULL {otherwise}")
        return self.first(
            name,
            value,
            f"OR provider_updated_at IS NULL OR provider_updated_at < %s {otherwise}",
            self.updated_at,
        )

    def penalty(self, result: SendResult) -> RawSQL:
        """Estimate the cost of forbidden content: the fine, or on IT and ES routes the price."""
        fixed = result.total_price or None
        fine = FINE * (result.segments or 1)
        return expression(
            "CASE WHEN penalty IS NOT NULL OR dry_run THEN penalty "
            "WHEN route IN ('IT', 'ES') THEN %s ELSE %s END",
            [self._adapted("penalty", fixed), self._adapted("penalty", fine)],
            field_of(self.model, "penalty"),
        )

    def unless_scrubbed(self, text: str) -> RawSQL:
        return expression("CASE WHEN scrubbed THEN '' ELSE %s END", [text])

    def _adapted(self, name: str, value: Any) -> Any:
        return adapted(field_of(self.model, name), value, self.connection)
