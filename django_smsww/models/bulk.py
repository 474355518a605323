"""Insert many rows with one statement that gets the values as arrays.

The ORM takes 0.2 ms to convert the fifty values of one row. But most columns have the same value in
all rows. This module converts and sends the value of such a column only once.
"""

import json
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import JSONField, Model
from django.db.models.expressions import RawSQL

from .sql import READERS, Row, adapted, expression, field_of, table_of, written

Columns = dict[str, list[Any]]
"""A list of values for each column name. The lists have the order of the rows."""


def insert_many(model: type[Row], rows: Sequence[Row], identity: str, using: str) -> None:
    """Insert these rows like `bulk_create`, and set their primary keys.

    On MariaDB and Oracle, this function only calls `bulk_create`.

    Args:
        identity: the name of a unique column, to find the new primary key of each row.
    """
    connection = connections[using]
    if not rows or connection.vendor not in _SOURCES:
        # A packet of MariaDB has 16 MB, and a row up to 55 KB.
        model._base_manager.using(using).bulk_create(rows, batch_size=250)
        return
    same, arrays = _columns_of(model, rows, identity, connection)
    source, marks, params = _SOURCES[connection.vendor](model, arrays, connection)
    values = same | dict(zip(arrays, map(expression, marks), strict=True))
    columns, selected, constants = written(model, values, connection)
    sql = (
        f"INSERT INTO {table_of(model, using)} ({', '.join(columns)}) "  # noqa: S608
        f"SELECT {', '.join(selected)} FROM {source} RETURNING {identity}, id"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [*constants, *params])
        primary_keys = dict(cursor.fetchall())
    for row, name in zip(rows, arrays[identity], strict=True):
        row.pk, row._state.adding, row._state.db = primary_keys[name], False, using


def one_of(texts: Sequence[str], using: str) -> RawSQL | Sequence[str]:
    """Return these texts for an `__in` lookup. PostgreSQL and SQLite get them as one parameter."""
    vendor = connections[using].vendor
    if vendor == "postgresql":
        return expression("SELECT unnest(%s::varchar[])", [list(texts)])
    if vendor == "sqlite":
        return expression("SELECT value FROM json_each(%s)", [json.dumps(texts)])
    return texts


def _columns_of(
    model: type[Row], rows: Sequence[Row], identity: str, connection: BaseDatabaseWrapper
) -> tuple[dict[str, Any], Columns]:
    """Return two dictionaries: the columns with one value for all rows, and the other columns."""
    same: dict[str, Any] = {}
    others: Columns = {}
    attributes = list(map(vars, rows))
    for field in model._meta.concrete_fields:
        if field.primary_key:
            continue
        if type(field).pre_save in READERS:
            column = list(map(itemgetter(field.attname), attributes))
        else:
            column = [field.pre_save(row, add=True) for row in rows]
        # {"n": 1} and {"n": True} are equal, but not as JSON.
        compared = list(map(repr, column)) if isinstance(field, JSONField) else column
        if field.name != identity and compared.count(compared[0]) == len(rows):
            same[field.name] = column[0]
        else:
            others[field.name] = [adapted(field, value, connection) for value in column]
    return same, others


def _unnest(
    model: type[Model], arrays: Columns, connection: BaseDatabaseWrapper
) -> tuple[str, list[str], list[Any]]:
    """Return the SQL by which PostgreSQL reads arrays as rows: a FROM item, columns, parameters.

    The FROM item is `unnest(…) AS new(c0, …)`, and its columns are `new.c0` and so on.
    """
    # Without its length, as a cast would cut a text that is too long.
    kinds = [str(field_of(model, name).db_type(connection)).partition("(")[0] for name in arrays]
    names = [f"c{number}" for number in range(len(arrays))]
    source = f"unnest({', '.join(f'%s::{kind}[]' for kind in kinds)}) AS new({', '.join(names)})"
    return source, [f"new.{name}" for name in names], list(arrays.values())


def _json_each(
    model: type[Model], arrays: Columns, connection: BaseDatabaseWrapper
) -> tuple[str, list[str], list[Any]]:
    """Return the SQL by which SQLite reads JSON as rows: a FROM item, columns, parameters."""
    marks = [f"json_extract(new.value, '$[{number}]')" for number in range(len(arrays))]
    rows = list(zip(*arrays.values(), strict=True))
    return "json_each(%s) AS new", marks, [json.dumps(rows, ensure_ascii=False, default=str)]


_SOURCES = {"postgresql": _unnest, "sqlite": _json_each}
