"""Merge the provider's data about a message into its row: prices, counts, times, but not the state.

Callbacks and responses may arrive late, twice or in any order. A value always fills an empty
column. But only a value from a newer version of the provider's record replaces a stored value.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field, Model
from django.db.models.expressions import RawSQL

from ..sms import SendResult
from ..states import SETTLED_BY_PROVIDER
from .sql import adapted, expression, field_of

_COUNTS = ("encoding", "characters", "segments")
_PLAIN = (*_COUNTS, "country", "prefix", "sent_at", "delivered_at")
_PRICES = ("price", "total_price")

FINE = Decimal(1)
"""The fine in EUR for each segment of forbidden content on the route WW (specification 1.2.7)."""


def merge(
    model: type[Model], result: SendResult, using: str, *, is_known: bool = False
) -> dict[str, Any]:
    """Return the values for `update()` that merge the provider's data in `result` into a row.

    The UPDATE must keep the order of this dictionary. `provider_updated_at` comes last, because the
    other expressions read its old value, and MariaDB assigns columns from left to right.

    Args:
        is_known: True if the UPDATE has the condition `knows_older()`. The values are then plain
            values, because no expression has to compare times again.
    """
    is_older = None if is_known else _older(model, result, using)
    merging = _Merging(model, connections[using], is_older)
    changes: dict[str, Any] = {
        name: merging.newer(name, getattr(result, name))
        for name in _PLAIN
        if getattr(result, name) not in ("", None)
    }
    changes |= _prices(merging, result)
    if result.provider_id and not is_known:
        changes["provider_id"] = merging.first("provider_id", result.provider_id)
    if result.blocklisted:  # the provider never revokes this
        changes["blocklisted"] = True
        # The reason may quote the text, which a scrubbed row must not hold.
        unless_scrubbed = "CASE WHEN scrubbed THEN '' ELSE %s END"
        changes["blocklisted_reason"] = expression(unless_scrubbed, [result.blocklisted_reason])
        changes["penalty"] = merging.penalty(result)
    if result.updated_at:
        changes["provider_updated_at"] = merging.newer("provider_updated_at", result.updated_at)
    return changes


def knows_older(model: type[Model], result: SendResult, using: str) -> RawSQL:
    """Return SQL that is true if the row has the provider id of `result`, and older data."""
    older = _older(model, result, using)
    return expression(f"provider_id = %s AND ({older.sql})", [result.provider_id, *older.params])


def _older(model: type[Model], result: SendResult, using: str) -> RawSQL:
    """Return SQL that is true if the provider's data in the row is older than `result`."""
    field = field_of(model, "provider_updated_at")
    moment = adapted(field, result.updated_at, connections[using])
    if moment is None:
        return expression("provider_updated_at IS NULL")
    return expression("provider_updated_at IS NULL OR provider_updated_at < %s", [moment])


def replace(result: SendResult) -> dict[str, Any]:
    """Return the values for an `update()` that replaces the provider's data in a row.

    The row keeps a count, such as `segments`, if `result` does not have this count.
    """
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


def _prices(merging: _Merging, result: SendResult) -> dict[str, Any]:
    """Merge the prices. Until the provider reports a final state, zero means "not known yet"."""
    prices: dict[str, Any] = {}
    for name in _PRICES:
        value = getattr(result, name)
        if value:
            prices[name] = merging.newer(name, value, f"OR {name} = 0")
        elif value is not None and result.state in SETTLED_BY_PROVIDER:
            prices[name] = merging.first(name, value)
    return prices


class _Merging:
    """SQL expressions that merge one result into a row; see Note [Why not the ORM] in `sql.py`."""

    def __init__(
        self, model: type[Model], connection: BaseDatabaseWrapper, is_older: RawSQL | None
    ) -> None:
        self.model = model
        self.connection = connection
        self.is_older = is_older

    def first(self, name: str, value: Any, otherwise: str = "", *params: Any) -> RawSQL:
        """Return SQL that sets the column if it is empty. `otherwise` can add an OR condition."""
        sql, field = _first(self.model, name, otherwise)
        return expression(sql, [*params, adapted(field, value, self.connection)], field)

    def newer(self, name: str, value: Any, otherwise: str = "") -> Any:
        """Return SQL that sets the column if it is empty, or if the row has older data.

        If the condition of the UPDATE already selects only rows with older data, return the plain
        value.
        """
        if self.is_older is None:
            return value
        return self.first(name, value, f"OR {self.is_older.sql} {otherwise}", *self.is_older.params)

    def penalty(self, result: SendResult) -> RawSQL:
        """Return SQL for the estimated fine for forbidden content.

        On the route WW, the fine is `FINE` for each segment. On the routes IT and ES, the fine is
        the price of the message.
        """
        fixed = result.total_price or None
        fine = FINE * (result.segments or 1)
        return expression(
            "CASE WHEN penalty IS NOT NULL OR dry_run THEN penalty "
            "WHEN route IN ('IT', 'ES') THEN %s ELSE %s END",
            [self._adapted("penalty", fixed), self._adapted("penalty", fine)],
            field_of(self.model, "penalty"),
        )

    def _adapted(self, name: str, value: Any) -> Any:
        return adapted(field_of(self.model, name), value, self.connection)


@cache
def _first(model: type[Model], name: str, otherwise: str) -> tuple[str, Field[Any, Any]]:
    """Return the SQL of `_Merging.first` for this column, and the model field of the column."""
    field = field_of(model, name)
    empty = f"{name} IS NULL" if field.null else f"{name} = ''"
    return f"CASE WHEN {empty} {otherwise} THEN %s ELSE {name} END", field
