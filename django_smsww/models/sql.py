"""Hand-written SQL, because the ORM needs too much time to build these statements.

# Note [Why not the ORM]
The ORM needs two milliseconds of CPU time to build an UPDATE of twenty expressions. Each callback
and each response needs one such UPDATE. For a SELECT of two columns, the ORM needs 0.17 ms, and
this module needs 0.02 ms. The names in the SQL are names of our own tables and columns, and all
user input is passed as parameters. So it is safe to silence the linter's warnings S608 and S611.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple, TypeVar, cast
from uuid import UUID

from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import (
    BooleanField,
    CharField,
    DateTimeField,
    Field,
    Model,
    QuerySet,
    TextField,
)
from django.db.models.base import ModelState
from django.db.models.expressions import RawSQL
from django.db.models.signals import post_init, pre_init

Row = TypeVar("Row", bound=Model)

READERS = {Field.pre_save, DateTimeField.pre_save}
"""Methods that only read the attribute, because no field of ours has `auto_now`."""

Values = Mapping[str, Any]
"""Values to write, by field name. A value is a plain Python value or a `RawSQL` expression."""


def update(rows: QuerySet[Any], values: Values) -> int:
    """Update these rows like `rows.update(**values)`, and return their number."""
    if len(rows.query.alias_map) > 1 or any(map(_is_for_the_orm, values.values())):
        return rows.update(**values)
    try:
        return _execute(rows.db, *_update_of(rows, values))
    except EmptyResultSet:
        return 0


def update_and_read(rows: QuerySet[Row], values: Values, updated: QuerySet[Row]) -> list[Row]:
    """Update these rows, and return them with their new values, in any order.

    Args:
        updated: a query for the updated rows. It runs only on databases whose UPDATE cannot return
            rows.
    """
    if not _returns_updated(rows.db):
        return list(updated) if update(rows, values) else []
    try:
        sql, params = _update_of(rows, values)
    except EmptyResultSet:
        return []
    known, others = _known(rows.model, values)
    found = _returned(rows.model, sql, params, rows.db, others)
    return [_loaded(rows.model, known | each, rows.db) for each in found]


def _known(model: type[Model], values: Values) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the new values that are known before an UPDATE, and the names of all other fields.

    To save time, the UPDATE returns only these other fields.
    """
    known = {name: value for name, value in values.items() if not isinstance(value, RawSQL)}
    fields = model._meta.concrete_fields
    return known, tuple(each.name for each in fields if each.name not in known)


def _update_of(rows: QuerySet[Any], values: Values) -> tuple[str, list[Any]]:
    """Return the UPDATE statement for these rows, and its parameters."""
    changes, params = assignments(rows.model, values, connections[rows.db])
    where, conditions = rows.query.get_compiler(rows.db).compile(rows.query.where)
    sql = f"UPDATE {table_of(rows.model, rows.db)} SET {changes} WHERE {where}"  # noqa: S608
    return sql, [*params, *conditions]


def update_each(
    model: type[Model], changes: str, where: str, rows: Sequence[Sequence[Any]], using: str
) -> int:
    """Run an UPDATE with each list of parameters, and return the number of changed rows.

    Args:
        rows: one list of parameters for each UPDATE. A list has the parameters of `changes`
            (the SQL after SET), followed by the parameters of `where`.
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


def upsert(
    model: type[Model], values: Values, unique: Sequence[str], again: Values, using: str
) -> None:
    """Insert a row. If a row with the same unique values exists, update that row. Send no signal.

    Args:
        unique: the columns of the unique constraint.
        again: the values to set if the row exists already.
    """
    connection, table = connections[using], table_of(model, using)
    columns, marks, params = written(model, values, connection)
    changes, more = assignments(model, again, connection)
    known = "DUPLICATE KEY UPDATE"
    if connection.vendor != "mysql":
        known = f"CONFLICT ({', '.join(map(connection.ops.quote_name, unique))}) DO UPDATE SET"
    sql = (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(marks)}) "  # noqa: S608
        f"ON {known} {changes}"
    )
    _execute(using, sql, params + more)


def update_and_insert(
    model: type[Row],
    changes: Values,
    where: RawSQL,
    entry: tuple[type[Model], Values],
    using: str,
) -> Row | None:
    """Update the row that `where` finds, and insert a row of another model, in one statement.

    Return the updated row. If `where` finds no row, insert nothing and return None. The SQL in
    `entry` can use the name `id` for the primary key of the updated row. Only PostgreSQL can run
    this statement. On another database, the caller needs a transaction with an UPDATE and an
    `upsert()`.

    Raises:
        IntegrityError: a unique value of the updated row, or of the inserted row, is in use.
    """
    # If another connection is changing the row, PostgreSQL waits and applies `where` again. So only
    # one of two equal callbacks moves the row.
    connection, table = connections[using], table_of(model, using)
    names, marks, inserted = written(*entry, connection)
    assigned, updated = assignments(model, changes, connection)
    known, others = _known(model, changes)
    columns, *_ = _reading(model, using, others)
    sql = (
        f"WITH updated AS (UPDATE {table} SET {assigned} WHERE {where.sql} RETURNING {columns}), "  # noqa: S608
        f"added AS (INSERT INTO {table_of(entry[0], using)} ({', '.join(names)}) "
        f"SELECT {', '.join(marks)} FROM updated) SELECT * FROM updated"
    )
    found = _fetched(using, sql, [*updated, *where.params, *inserted])
    if not found:
        return None
    return _loaded(model, known | _converted(model, found[0], using, others), using)


def insert_one(row: Row, changes: Values, where: RawSQL, using: str) -> Row | None:
    """Insert the row with the values in `changes` if `where` is true. Return the row, or None."""
    model, connection = type(row), connections[using]
    attributes = vars(row)
    values = {
        field.name: attributes[field.attname] if is_read else field.pre_save(row, add=True)
        for field, is_read in _inserted(model)
    } | dict(changes)
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
        return _saved(row, {**changes, **found[0]}, using) if found else None
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return _read(model, cursor.lastrowid, using) if cursor.rowcount else None


@cache
def _inserted(model: type[Model]) -> list[tuple[Field[Any, Any], bool]]:
    """Return each field of an INSERT, and whether its `pre_save()` only reads the attribute."""
    fields: Any = [field for field in model._meta.concrete_fields if not field.primary_key]
    return [(field, type(field).pre_save in READERS) for field in fields]


def update_one(row: Row, changes: str, where: str, params: Sequence[Any], using: str) -> Row | None:
    """Update the row that `where` finds; return the row with its new values, or None."""
    model = type(row)
    sql = f"UPDATE {table_of(model, using)} SET {changes} WHERE {where}"  # noqa: S608
    if _returns_updated(using):
        found = _returned(model, sql, params, using)
        return _loaded(model, found[0], using) if found else None
    return _read(model, row.pk, using) if _execute(using, sql, params) else None


def select(
    model: type[Model], names: Sequence[str], values: Values, using: str
) -> list[tuple[Any, ...]]:
    """Return columns of the rows that have these `values`, without conversion to Python types."""
    selection = subquery(model, names, values, using)
    with connections[using].cursor() as cursor:
        cursor.execute(selection.sql, selection.params)
        return list(cursor.fetchall())


def subquery(model: type[Model], names: Sequence[str], values: Values, using: str) -> RawSQL:
    """Return a SELECT of the columns `names`, from the rows whose columns have these `values`."""
    columns, marks, params = written(model, values, connections[using])
    where = " AND ".join(map(" = ".join, zip(columns, marks, strict=True)))
    named = ", ".join(map(connections[using].ops.quote_name, names))
    sql = f"SELECT {named} FROM {table_of(model, using)} WHERE {where}"  # noqa: S608
    return expression(sql, params)


def no_twin(model: type[Model], provider_id: str, using: str) -> RawSQL:
    """Return SQL that is true if no row of the same alias and environment has this provider id."""
    table = table_of(model, using)
    same = " AND ".join(f"twin.{name} = {table}.{name}" for name in ("alias", "environment"))
    twins = f"SELECT 1 FROM {table} twin WHERE {same} AND twin.provider_id = %s"  # noqa: S608
    return expression(f"NOT EXISTS ({twins})", [provider_id], BooleanField())


def _returns_updated(using: str) -> bool:
    """Return True if an UPDATE can return rows. On MariaDB, only an INSERT can return rows."""
    connection = connections[using]
    return connection.features.can_return_columns_from_insert and connection.vendor != "mysql"


def _returned(
    model: type[Row], sql: str, params: Sequence[Any], using: str, names: tuple[str, ...] = ()
) -> list[dict[str, Any]]:
    """Run an INSERT or an UPDATE, and return the field values of each row that it wrote.

    `names` are the fields to return. Without names, all fields are returned.
    """
    columns, *_ = _reading(model, using, names)
    found = _fetched(using, f"{sql} RETURNING {columns}", params)
    return [_converted(model, values, using, names) for values in found]


def _fetched(using: str, sql: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
    with connections[using].cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall())


def _converted(
    model: type[Model], row: Sequence[Any], using: str, names: tuple[str, ...] = ()
) -> dict[str, Any]:
    _columns, attributes, converters = _reading(model, using, names)
    values = list(row)
    for number, functions, column in converters:
        for convert in functions:
            values[number] = convert(values[number], column, connections[using])
    return dict(zip(attributes, values, strict=True))


def _loaded(model: type[Row], values: Values, using: str) -> Row:
    """Return an instance with these values. `Model.from_db()` takes ten times as long."""
    if pre_init.has_listeners(model) or post_init.has_listeners(model):
        names = [each.attname for each in model._meta.concrete_fields]
        return model.from_db(using, names, [values[name] for name in names])
    row = model.__new__(model)
    row.__dict__ = {**values, "_state": ModelState()}
    row._state.adding, row._state.db = False, using
    return row


def _saved(row: Row, values: Values, using: str) -> Row:
    """Set these stored values on the instance, and mark the instance as saved."""
    for name, value in values.items():
        setattr(row, field_of(type(row), name).attname, value)
    row._state.adding, row._state.db = False, using
    return row


@cache
def _reading(
    model: type[Model], using: str, names: tuple[str, ...] = ()
) -> tuple[str, list[str], list[tuple[int, Any, Any]]]:
    """Return the columns, attribute names and converters of the fields in `names`.

    If `names` is empty, use all fields. The function needs almost 1 ms, so its result is cached.
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
    """Return this SQL as a `RawSQL` expression, for the functions of this module."""
    return RawSQL(sql, params, field)  # noqa: S611


def table_of(model: type[Model], using: str) -> str:
    return str(connections[using].ops.quote_name(model._meta.db_table))


def assignments(
    model: type[Model], values: Values, connection: BaseDatabaseWrapper
) -> tuple[str, list[Any]]:
    """Return the SQL after SET for these values, and the parameters of this SQL."""
    columns, marks, params = written(model, values, connection)
    return ", ".join(map(" = ".join, zip(columns, marks, strict=True))), params


@cache
def field_of(model: type[Model], name: str) -> Field[Any, Any]:
    field: Any = model._meta.get_field(name)
    return cast("Field[Any, Any]", field)


class _Column(NamedTuple):
    field: Field[Any, Any]
    name: str
    """The quoted name."""
    kind: type
    """The type of the values that need no conversion."""
    literals: Mapping[Any, str]
    """The SQL of frequent values of this type. As parameters, each costs the driver 2 µs."""


@cache
def _columns(model: type[Model], using: str) -> dict[str, _Column]:
    quote, found = connections[using].ops.quote_name, {}
    for field in model._meta.concrete_fields:
        kind: type = int
        literals: dict[Any, str] = {0: "0", 1: "1"}
        if isinstance(field, BooleanField):
            kind, literals = bool, {False: "FALSE", True: "TRUE"}
        elif isinstance(field, _TEXTS):
            kind, literals = str, {each: f"'{each}'" for each in ("", *dict(field.flatchoices))}
        found[field.name] = _Column(field, quote(str(field.column)), kind, literals)
    return found


_TEXTS = (CharField, TextField)


def adapted(field: Field[Any, Any], value: Any, connection: BaseDatabaseWrapper) -> Any:
    """Convert a value to the type that the database driver needs for this field."""
    # A text for a number or a time passes through its field: in an array, PostgreSQL takes no text.
    kind = type(value)
    is_plain = kind is (str if isinstance(field, _TEXTS) else int)
    if connection.vendor == "postgresql":
        # Its columns would take NaN, and a naive time in the time zone of the session.
        is_plain |= kind is UUID or (kind is Decimal and value.is_finite())
        is_plain |= kind is datetime and value.tzinfo is not None
    return value if value is None or is_plain else field.get_db_prep_save(value, connection)


def written(
    model: type[Model], values: Values, connection: BaseDatabaseWrapper
) -> tuple[list[str], list[str], list[Any]]:
    """Return the quoted columns, the SQL of each value, and the parameters of this SQL."""
    known = _columns(model, connection.alias)
    columns: list[str] = []
    marks: list[str] = []
    params: list[Any] = []
    for name, value in values.items():
        field, column, kind, literals = known[name]
        columns.append(column)
        if value is None:  # not as a parameter: PostgreSQL would not know the type of an array
            marks.append("NULL")
        elif isinstance(value, kind) and (literal := literals.get(value)):
            marks.append(literal)
        elif isinstance(value, RawSQL):
            marks.append(f"({value.sql})")
            params += value.params
        else:
            marks.append("%s")
            params.append(value if type(value) is kind else adapted(field, value, connection))
    return columns, marks, params


_KINDS = {
    bool: "boolean",
    int: "bigint",
    str: "text",
    Decimal: "numeric",
    UUID: "uuid",
    datetime: "timestamp with time zone",
}


def _source_of(rows: Sequence[Sequence[Any]]) -> tuple[list[str], list[Any], list[str]] | None:
    """Return the parts of a SELECT. It contains the values with which an UPDATE changes many rows.

    Return three lists: columns, parameters and names. Each name, such as "new.p0", replaces one
    "%s" of the UPDATE. The SELECT has a column of this name with the values for this "%s". If the
    values for two "%s" are equal, both use one column. A value that is equal in all rows is sent
    only once.
    Return None if the values for a "%s" have no common type in `_KINDS`.
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
