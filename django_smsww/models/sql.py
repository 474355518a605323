"""SQL written by hand, where the ORM takes longer to write a statement than the database to run it.

# Note [Why not the ORM]
An UPDATE of twenty expressions costs the ORM two milliseconds of CPU, and each callback and each
answer needs one. A SELECT of two columns costs it 0.17 ms, against 0.02 ms here. The names below
are those of our own models, and every value is a parameter: that is why S608 and S611 are silenced.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar, cast
from uuid import UUID

from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import (
    BooleanField,
    CharField,
    Field,
    Model,
    QuerySet,
    TextField,
)
from django.db.models.expressions import RawSQL

Row = TypeVar("Row", bound=Model)

Values = Mapping[str, Any]
"""Values to write, by field name: plain ones, or RawSQL."""


def update(rows: QuerySet[Any], values: Values) -> int:
    """Update these rows like `rows.update(**values)`, and return their number."""
    if len(rows.query.alias_map) > 1 or any(map(_is_for_the_orm, values.values())):
        return rows.update(**values)
    changes, params = assignments(rows.model, values, connections[rows.db])
    try:
        where, conditions = rows.query.get_compiler(rows.db).compile(rows.query.where)
    except EmptyResultSet:
        return 0
    sql = f"UPDATE {table_of(rows.model, rows.db)} SET {changes} WHERE {where}"  # noqa: S608
    return _execute(rows.db, sql, [*params, *conditions])


def update_each(
    model: type[Model], changes: str, where: str, rows: Sequence[Sequence[Any]], using: str
) -> int:
    """Run an UPDATE once for each row of parameters, and return the number of changed rows.

    On PostgreSQL it is one statement for all of them. One by one, the statements would take most of
    the time that a worker has for its threads' answers.
    """
    connection, table = connections[using], table_of(model, using)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql" and (source := _source_of(rows)):
            selected, params, marks = source
            cut = changes.count("%s")
            changes, where = changes % tuple(marks[:cut]), where % tuple(marks[cut:])
            new = f"(SELECT {', '.join(selected)}) AS new"
            cursor.execute(f"UPDATE {table} SET {changes} FROM {new} WHERE {where}", params)  # noqa: S608
        else:
            cursor.executemany(f"UPDATE {table} SET {changes} WHERE {where}", rows)  # noqa: S608
        return int(cursor.rowcount)


@dataclass(frozen=True, slots=True)
class Upsert:
    """A row to insert, unless its table has one with the same values in the unique columns.

    Attributes:
        again: the values to set on the row that exists already.
    """

    model: type[Model]
    values: Values
    unique: Sequence[str]
    again: Values

    def statement(self, using: str, source: str = "") -> tuple[str, list[Any]]:
        """Return the statement, and its parameters; it inserts once for each row of the source."""
        connection, table = connections[using], table_of(self.model, using)
        columns, marks, params = written(self.model, self.values, connection)
        changes, more = assignments(self.model, self.again, connection)
        unique = ", ".join(map(connection.ops.quote_name, self.unique))
        is_mysql = connection.vendor == "mysql"
        known = "DUPLICATE KEY UPDATE" if is_mysql else f"CONFLICT ({unique}) DO UPDATE SET"
        row = f"SELECT {', '.join(marks)} {source}" if source else f"VALUES ({', '.join(marks)})"
        sql = f"INSERT INTO {table} ({', '.join(columns)}) {row} ON {known} {changes}"
        return sql, params + more


def upsert(entry: Upsert, using: str) -> None:
    """Insert a row, or change the one that has its unique values; no signal is sent."""
    sql, params = entry.statement(using)
    _execute(using, sql, params)


def update_and_upsert(
    model: type[Row], changes: Values, where: RawSQL, old: str, entry: Upsert, using: str
) -> tuple[Row, Any] | None:
    """Update the row that the condition names and upsert the entry, or do neither of them.

    Return the row as it is stored, and the value that its column `old` had before. Expressions
    among the values of the entry may name columns of the row. This is for PostgreSQL. Its portable
    twin is an UPDATE and then `upsert()`, in a transaction.
    """
    # The lock comes first: if another connection is changing the row, PostgreSQL waits and looks
    # again. So `old` is the value that the UPDATE replaces, and of two equal callbacks one moves.
    written, params = assignments(model, changes, connections[using])
    upserted, more = entry.statement(using, "FROM moved")
    table, (columns, *_) = table_of(model, using), _reading(model, using)
    sql = (
        f"WITH old AS MATERIALIZED (SELECT id AS old_id, {old} AS old_value FROM {table} "  # noqa: S608
        f"WHERE {where.sql} FOR UPDATE), moved AS (UPDATE {table} SET {written} FROM old "
        f"WHERE id = old_id RETURNING old_value, {table}.*), noted AS ({upserted}) "
        f"SELECT old_value, {columns} FROM moved"
    )
    values = _fetched(using, sql, [*where.params, *params, *more])
    if values is None:
        return None
    return _loaded(model, _converted(model, values[1:], using), using), values[0]


def insert_one(row: Row, changes: Values, where: RawSQL, using: str) -> Row | None:
    """Insert the row with these changes if the condition is true; return it as it is stored."""
    model, connection = type(row), connections[using]
    fields = [field for field in model._meta.concrete_fields if not field.primary_key]
    values = {field.name: field.pre_save(row, add=True) for field in fields} | dict(changes)
    given = {name: value for name, value in values.items() if value is not None}
    columns, marks, params = written(model, given, connection)
    nowhere = " FROM DUAL" if connection.vendor == "mysql" else ""
    sql = (
        f"INSERT INTO {table_of(model, using)} ({', '.join(columns)}) "
        f"SELECT {', '.join(marks)}{nowhere} WHERE {where.sql}"
    )
    params += where.params
    if connection.features.can_return_columns_from_insert:
        computed = (name for name, value in changes.items() if isinstance(value, RawSQL))
        found = _returned(model, sql, params, using, ("id", *computed))
        return None if found is None else _saved(row, {**changes, **found}, using)
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return _read(model, cursor.lastrowid, using) if cursor.rowcount else None


def update_one(row: Row, changes: str, where: str, params: Sequence[Any], using: str) -> Row | None:
    """Update the row that the condition names, and return it as it is stored."""
    model = type(row)
    sql = f"UPDATE {table_of(model, using)} SET {changes} WHERE {where}"  # noqa: S608
    # MariaDB has a RETURNING for INSERT alone.
    features = connections[using].features
    if features.can_return_columns_from_insert and connections[using].vendor != "mysql":
        found = _returned(model, sql, params, using)
        return None if found is None else _loaded(model, found, using)
    return _read(model, row.pk, using) if _execute(using, sql, params) else None


def select(
    model: type[Model], names: Sequence[str], values: Values, using: str
) -> list[tuple[Any, ...]]:
    """Return these columns of the rows that have these values, as the driver returns them."""
    selection = subquery(model, names, values, using)
    with connections[using].cursor() as cursor:
        cursor.execute(selection.sql, selection.params)
        return list(cursor.fetchall())


def subquery(model: type[Model], names: Sequence[str], values: Values, using: str) -> RawSQL:
    """Return the SELECT of these columns of the rows that have these values."""
    columns, marks, params = written(model, values, connections[using])
    where = " AND ".join(map(" = ".join, zip(columns, marks, strict=True)))
    named = ", ".join(map(connections[using].ops.quote_name, names))
    sql = f"SELECT {named} FROM {table_of(model, using)} WHERE {where}"  # noqa: S608
    return expression(sql, params)


def no_twin(model: type[Model], provider_id: str, using: str) -> RawSQL:
    """Return the condition that no other row of the same alias has this provider's id."""
    table = table_of(model, using)
    same = " AND ".join(f"twin.{name} = {table}.{name}" for name in ("alias", "environment"))
    twins = f"SELECT 1 FROM {table} twin WHERE {same} AND twin.provider_id = %s"  # noqa: S608
    return expression(f"NOT EXISTS ({twins})", [provider_id], BooleanField())


def _returned(
    model: type[Row], sql: str, params: Sequence[Any], using: str, names: tuple[str, ...] = ()
) -> dict[str, Any] | None:
    """Return these columns (or all) of the row that was written; None if none was written."""
    columns, *_ = _reading(model, using, names)
    values = _fetched(using, f"{sql} RETURNING {columns}", params)
    return None if values is None else _converted(model, values, using, names)


def _fetched(using: str, sql: str, params: Sequence[Any]) -> list[Any] | None:
    with connections[using].cursor() as cursor:
        cursor.execute(sql, params)
        rows = cursor.fetchall()
    return list(rows[0]) if rows else None


def _converted(
    model: type[Model], values: list[Any], using: str, names: tuple[str, ...] = ()
) -> dict[str, Any]:
    _columns, attributes, converters = _reading(model, using, names)
    for number, functions, column in converters:
        for convert in functions:
            values[number] = convert(values[number], column, connections[using])
    return dict(zip(attributes, values, strict=True))


def _loaded(model: type[Row], values: Values, using: str) -> Row:
    return model.from_db(using, list(values), list(values.values()))


def _saved(row: Row, values: Values, using: str) -> Row:
    """Give the row these values, which are stored now, as `save()` does."""
    for name, value in values.items():
        setattr(row, _column(type(row), name, using)[0].attname, value)
    row._state.adding, row._state.db = False, using
    return row


@cache
def _reading(
    model: type[Model], using: str, names: tuple[str, ...] = ()
) -> tuple[str, list[str], list[tuple[int, Any, Any]]]:
    """Return the columns, attributes and converters of the named fields, or else of all fields.

    Django's `raw()` finds out the same each time, and needs most of a millisecond for it.
    """
    fields: Any = [field_of(model, name) for name in names] or model._meta.concrete_fields
    ops = connections[using].ops
    compiler = model._base_manager.using(using).query.get_compiler(using)
    found = compiler.get_converters([field.get_col(model._meta.db_table) for field in fields])
    columns = ", ".join(ops.quote_name(str(field.column)) for field in fields)
    converters = [(number, functions, column) for number, (functions, column) in found.items()]
    return columns, [field.attname for field in fields], converters


def _read(model: type[Row], primary_key: int, using: str) -> Row:
    return model._base_manager.using(using).get(pk=primary_key)


# Parts of a statement


_ANY: Field[Any, Any] = Field()  # RawSQL would make one for each expression


def expression(sql: str, params: Sequence[Any] = (), field: Any = _ANY) -> RawSQL:
    """Return SQL over our own columns, as a value for the functions above."""
    return RawSQL(sql, params, field)  # noqa: S611


def table_of(model: type[Model], using: str) -> str:
    """Return the quoted name of a model's table."""
    return str(connections[using].ops.quote_name(model._meta.db_table))


def assignments(
    model: type[Model], values: Values, connection: BaseDatabaseWrapper
) -> tuple[str, list[Any]]:
    """Return the text after SET, and its parameters."""
    columns, marks, params = written(model, values, connection)
    return ", ".join(map(" = ".join, zip(columns, marks, strict=True))), params


@cache
def field_of(model: type[Model], name: str) -> Field[Any, Any]:
    field: Any = model._meta.get_field(name)
    return cast("Field[Any, Any]", field)


@cache
def _column(model: type[Model], name: str, using: str) -> tuple[Field[Any, Any], str]:
    """Return a column's field, and its quoted name."""
    field = field_of(model, name)
    return field, connections[using].ops.quote_name(str(field.column))


_TEXTS = (CharField, TextField)


def adapted(field: Field[Any, Any], value: Any, connection: BaseDatabaseWrapper) -> Any:
    """Return the value as the driver takes it. A plain text or number need not pass the field."""
    # PostgreSQL takes no text for a number or a time where it comes in an array.
    is_plain = type(value) is (str if isinstance(field, _TEXTS) else int)
    return value if value is None or is_plain else field.get_db_prep_save(value, connection)


def written(
    model: type[Model], values: Values, connection: BaseDatabaseWrapper
) -> tuple[list[str], list[str], list[Any]]:
    """Return the quoted columns, the SQL of each value, and the parameters of that SQL."""
    columns: list[str] = []
    marks: list[str] = []
    params: list[Any] = []
    for name, value in values.items():
        field, column = _column(model, name, connection.alias)
        columns.append(column)
        if value is None:  # not as a parameter: PostgreSQL could not tell the type of an array
            marks.append("NULL")
        elif isinstance(value, RawSQL):
            marks.append(f"({value.sql})")
            params += value.params
        else:
            param = adapted(field, value, connection)
            if type(param) in _LITERALS and param in _LITERALS[type(param)]:
                marks.append(_LITERALS[type(param)][param])
            else:
                marks.append("%s")
                params.append(param)
    return columns, marks, params


_LITERALS: dict[type, dict[Any, str]] = {
    bool: {False: "FALSE", True: "TRUE"},
    str: {"": "''"},
}
"""Values of many columns: the driver writes such a text at no cost, and each parameter for 2 us."""


_KINDS = {
    bool: "boolean",
    int: "bigint",
    str: "text",
    Decimal: "numeric",
    UUID: "uuid",
    datetime: "timestamp with time zone",
}


def _source_of(rows: Sequence[Sequence[Any]]) -> tuple[list[str], list[Any], list[str]] | None:
    """Return the columns of a SELECT of these rows, its parameters, and the name of each column.

    Equal columns go to the database once, and so does a value that all rows have: psycopg needs
    10 us to write a time. Return None if the type of a column is unclear.
    """
    names: dict[tuple[type, Sequence[Any]], str] = {}
    selected: list[str] = []
    params: list[Any] = []
    marks: list[str] = []
    for column in zip(*rows, strict=True):
        kinds = {type(value) for value in column if value is not None}
        if len(kinds) != 1 or not kinds <= _KINDS.keys():
            return None
        kind = kinds.pop()  # 1 and True are equal, too
        is_same = column.count(column[0]) == len(column)
        name = names.setdefault((kind, column[:1] if is_same else column), f"p{len(names)}")
        if len(names) > len(selected):
            mark = f"%s::{_KINDS[kind]}" if is_same else f"unnest(%s::{_KINDS[kind]}[])"
            selected.append(f"{mark} AS {name}")
            params.append(column[0] if is_same else list(column))
        marks.append(f"new.{name}")
    return selected, params, marks


def _is_for_the_orm(value: Any) -> bool:
    return hasattr(value, "resolve_expression") and not isinstance(value, RawSQL)


def _execute(using: str, sql: str, params: Iterable[Any]) -> int:
    with connections[using].cursor() as cursor:
        cursor.execute(sql, list(params))
        return int(cursor.rowcount)
