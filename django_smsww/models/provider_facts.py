"""How what the provider says is merged into a row, apart from the row's state.

Callbacks and answers arrive late, twice and in any order. So each fact fills an empty field, and
replaces a filled one only if it comes from a newer version of the provider's record.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, cast

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import CharField, Field, Model, TextField
from django.db.models.expressions import RawSQL

from ..sms import SendResult
from ..states import SETTLED_BY_PROVIDER

_COUNTS = ("encoding", "characters", "segments")
_PLAIN = (*_COUNTS, "country", "prefix", "sent_at", "delivered_at")
_PRICES = ("price", "total_price")
_TEXTS = (CharField, TextField)

FINE = Decimal(1)
"""EUR for each segment of forbidden content, worldwide (specification 1.2.7)."""


def merge(model: type[Model], result: SendResult, using: str) -> dict[str, Any]:
    """Return what `update()` takes to merge the facts of this result into its row.

    `provider_updated_at`, which the others are compared with, comes last: MariaDB assigns in
    the order in which it is told, and reads what it has just written.
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
    if result.blocklisted:  # never taken back
        changes["blocklisted"] = True
        changes["blocklisted_reason"] = result.blocklisted_reason
        changes["penalty"] = merging.penalty(result)
    if result.updated_at:
        changes["provider_updated_at"] = merging.newer("provider_updated_at", result.updated_at)
    return changes


def replace(result: SendResult) -> dict[str, Any]:
    """Return what `update()` takes to have the facts of this result in place of all others."""
    counts = {name: getattr(result, name) for name in _COUNTS if getattr(result, name)}
    plain = {name: getattr(result, name) for name in _PLAIN if name not in _COUNTS}
    prices = {name: getattr(result, name) for name in _PRICES}
    if result.state not in SETTLED_BY_PROVIDER:  # until then zero is "not known yet"
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
    """Merge the prices: the provider writes zero for "not known yet", and zero can be final."""
    prices: dict[str, RawSQL] = {}
    for name in _PRICES:
        value = getattr(result, name)
        if value:
            prices[name] = merging.newer(name, value, f"OR {name} = 0")
        elif value is not None and result.state in SETTLED_BY_PROVIDER:
            prices[name] = merging.first(name, value)
    return prices


class _Merging:
    """Writes the expressions, in SQL: a callback has a dozen, and the ORM's own take 4 ms."""

    def __init__(self, model: type[Model], result: SendResult, using: str) -> None:
        self.model = model
        self.connection = connections[using]
        self.updated_at = result.updated_at

    def first(self, name: str, value: Any, otherwise: str = "", *params: Any) -> RawSQL:
        """Take the value where the field is empty, or else where the condition holds."""
        field = field_of(self.model, name)
        empty = f"{name} IS NULL" if field.null else f"{name} = ''"
        return RawSQL(  # noqa: S611 - the names are our own, and the values are parameters
            f"CASE WHEN {empty} {otherwise} THEN %s ELSE {name} END",
            [*params, self._adapted(name, value)],
            field,
        )

    def newer(self, name: str, value: Any, otherwise: str = "") -> RawSQL:
        """Take the value where the field is empty, or what we know is older."""
        if self.updated_at is None:
            return self.first(name, value, f"OR provider_updated_at IS NULL {otherwise}")
        return self.first(
            name,
            value,
            f"OR provider_updated_at IS NULL OR provider_updated_at < %s {otherwise}",
            self._adapted("provider_updated_at", self.updated_at),
        )

    def penalty(self, result: SendResult) -> RawSQL:
        """Estimate what forbidden content cost: the fine, or the price where that is lost."""
        fixed = result.total_price or None  # of the routes of one country
        fine = FINE * (result.segments or 1)
        return RawSQL(
            "CASE WHEN penalty IS NOT NULL OR dry_run THEN penalty "
            "WHEN route IN ('IT', 'ES') THEN %s ELSE %s END",
            [self._adapted("penalty", fixed), self._adapted("penalty", fine)],
            field_of(self.model, "penalty"),
        )

    def _adapted(self, name: str, value: Any) -> Any:
        return adapted(field_of(self.model, name), value, self.connection)


def field_of(model: type[Model], name: str) -> Field[Any, Any]:
    """Return a column's field."""
    field: Any = model._meta.get_field(name)
    return cast("Field[Any, Any]", field)


def adapted(field: Field[Any, Any], value: Any, connection: BaseDatabaseWrapper) -> Any:
    """Return the value as the database takes it; what it takes as it is, a field need not see."""
    # PostgreSQL takes no text for a number or a time where it comes in an array.
    is_plain = type(value) is (str if isinstance(field, _TEXTS) else int)
    if value is None or is_plain:
        return value
    return field.get_db_prep_save(value, connection)
