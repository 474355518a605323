"""Statements written by hand, where the ORM's way of writing them takes longer than the database.

An UPDATE of twenty expressions takes the ORM two milliseconds of CPU, and a callback or an answer
has one of them. The names are those of our own models, and all values are parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, Model, QuerySet
from django.db.models.expressions import RawSQL

from .provider_facts import adapted, field_of


def assignments(
    model: type[Model], values: Mapping[str, Any], connection: BaseDatabaseWrapper
) -> tuple[str, list[Any]]:
    """Return what follows SET, and its parameters; a value is plain or a RawSQL."""
    parts: list[str] = []
    params: list[Any] = []
    for name, value in values.items():
        field = field_of(model, name)
        column = connection.ops.quote_name(str(field.column))
        if value is None:
            parts.append(f"{column} = NULL")
        elif isinstance(value, RawSQL):
            parts.append(f"{column} = {value.sql}")
            params += value.params
        else:
            parts.append(f"{column} = %s")
            params.append(adapted(field, value, connection))
    return ", ".join(parts), params


def update(rows: QuerySet[Any], values: Mapping[str, Any]) -> int:
    """Do what `rows.update(**values)` does, and return how many rows there were."""
    if len(rows.query.alias_map) > 1 or any(map(_is_for_the_orm, values.values())):
        return rows.update(**values)
    connection = connections[rows.db]
    table = connection.ops.quote_name(rows.model._meta.db_table)
    changes, params = assignments(rows.model, values, connection)
    try:
        where, conditions = rows.query.get_compiler(rows.db).compile(rows.query.where)
    except EmptyResultSet:
        return 0
    sql = f"UPDATE {table} SET {changes} WHERE {where}"  # noqa: S608 - as said above
    return _execute(rows.db, sql, [*params, *conditions])


def update_each(
    model: type[Model], changes: str, where: str, rows: Sequence[Sequence[Any]], using: str
) -> int:
    """Run an UPDATE once for each row of parameters; return how many rows it has changed.

    On PostgreSQL it is one statement for all of them: to send and plan each by itself would take
    most of the time in which a worker has to write down what its threads bring back.
    """
    connection = connections[using]
    table = connection.ops.quote_name(model._meta.db_table)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql" and (source := _as_table(rows)):
            names, columns = source
            values = f"unnest({', '.join(columns)}) AS new({', '.join(names)})"
            marks = [f"new.{name}" for name in names]
            cut = changes.count("%s")
            changes, where = changes % tuple(marks[:cut]), where % tuple(marks[cut:])
            sql = f"UPDATE {table} SET {changes} FROM {values} WHERE {where}"  # noqa: S608
            cursor.execute(sql, [list(column) for column in zip(*rows, strict=True)])
        else:
            cursor.executemany(f"UPDATE {table} SET {changes} WHERE {where}", rows)  # noqa: S608
        return int(cursor.rowcount)


_ARRAYS = {
    bool: "boolean[]",
    int: "bigint[]",
    str: "text[]",
    Decimal: "numeric[]",
    UUID: "uuid[]",
    datetime: "timestamp with time zone[]",
}


def _as_table(rows: Sequence[Sequence[Any]]) -> tuple[list[str], list[str]] | None:
    """Return names for the columns of these rows, and placeholders for an array of each.

    None where a column holds values of several types, or of none: their type is not known here.
    """
    arrays = []
    for column in zip(*rows, strict=True):
        kinds = {type(value) for value in column if value is not None}
        if len(kinds) != 1 or not kinds <= set(_ARRAYS):
            return None
        arrays.append(f"%s::{_ARRAYS[kinds.pop()]}")
    return [f"p{number}" for number in range(len(arrays))], arrays


def selection(
    model: type[Model], names: Sequence[str], values: Mapping[str, Any], using: str
) -> tuple[str, list[Any]]:
    """Return the SELECT of these columns where others have these values, and its parameters."""
    connection = connections[using]
    quoted = connection.ops.quote_name
    where = " AND ".join(f"{quoted(name)} = %s" for name in values)
    params = [
        field_of(model, name).get_db_prep_value(value, connection) for name, value in values.items()
    ]
    sql = f"SELECT {', '.join(map(quoted, names))} FROM {quoted(model._meta.db_table)}"  # noqa: S608
    return f"{sql} WHERE {where}", params


def select(
    model: type[Model], names: Sequence[str], values: Mapping[str, Any], using: str
) -> list[tuple[Any, ...]]:
    """Return these columns of the rows where others have these values, as the driver has them."""
    with connections[using].cursor() as cursor:
        cursor.execute(*selection(model, names, values, using))
        return list(cursor.fetchall())


def no_twin(model: type[Model], provider_id: str, using: str) -> RawSQL:
    """Return the condition that no other row of the same alias has this provider's id."""
    table = connections[using].ops.quote_name(model._meta.db_table)
    same = " AND ".join(f"twin.{name} = {table}.{name}" for name in ("alias", "environment"))
    twins = f"SELECT 1 FROM {table} twin WHERE {same} AND twin.provider_id = %s"  # noqa: S608
    return RawSQL(f"NOT EXISTS ({twins})", [provider_id], BooleanField())  # noqa: S611


def insert(model: type[Model], values: Mapping[str, Any], using: str) -> None:
    """Insert a row of these columns, each a value or a RawSQL; no signal is sent."""
    connection = connections[using]
    quoted = connection.ops.quote_name
    names: list[str] = []
    marks: list[str] = []
    params: list[Any] = []
    for name, value in values.items():
        field = field_of(model, name)
        names.append(quoted(str(field.column)))
        is_raw = isinstance(value, RawSQL)
        marks.append(f"({value.sql})" if is_raw else "%s")
        params += value.params if is_raw else [field.get_db_prep_save(value, connection)]
    table = quoted(model._meta.db_table)
    sql = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(marks)})"  # noqa: S608
    _execute(using, sql, params)


def _is_for_the_orm(value: Any) -> bool:
    return hasattr(value, "resolve_expression") and not isinstance(value, RawSQL)


def _execute(using: str, sql: str, params: Iterable[Any]) -> int:
    with connections[using].cursor() as cursor:
        cursor.execute(sql, list(params))
        return int(cursor.rowcount)
