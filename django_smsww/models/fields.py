"""Fields for exact texts, states, numbers, and numbers that are searched from their end."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from django.conf import settings
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.lookups import Exact, In

from ..exceptions import InvalidSMS
from ..numbers import read_number
from ..states import State

if TYPE_CHECKING:
    T = TypeVar("T")
    Column = models.Field[T, T]
    """The type of a column's value, for type checkers that do not know Django's models."""


class ExactCharField(models.CharField):
    """A text that equals only itself, on every database.

    For MariaDB and MySQL "INVOICE-1", "invoice-1" and "invoice-1 " are the same by default, so the
    column gets another collation there.
    """

    def db_parameters(self, connection: BaseDatabaseWrapper) -> dict[str, Any]:
        parameters: dict[str, Any] = super().db_parameters(connection)
        if connection.vendor == "mysql":
            is_mariadb = getattr(connection, "mysql_is_mariadb", False)
            parameters["collation"] = "utf8mb4_nopad_bin" if is_mariadb else "utf8mb4_0900_bin"
        return parameters


class StateField(models.CharField):
    """A state of a message, which queries compare with literals.

    A partial index serves a query only if its condition follows from that of the query, and a
    database may plan before it knows the parameters: PostgreSQL does for prepared statements.
    """


class _LiteralStates:
    def process_rhs(self, compiler: Any, connection: BaseDatabaseWrapper) -> tuple[str, Any]:
        lookup: Any = super()
        sql, params = lookup.process_rhs(compiler, connection)
        # Other texts stay parameters: anybody may have written them.
        if not params or not all(value in State.values for value in params):
            return sql, params
        return sql % tuple(f"'{value}'" for value in params), []


@StateField.register_lookup
class _ExactState(_LiteralStates, Exact):
    pass


@StateField.register_lookup
class _InStates(_LiteralStates, In):
    pass


class NumberField(models.CharField):
    """A number in E.164. Assign any spelling; saving a text that is no number raises InvalidSMS."""

    def pre_save(self, model_instance: models.Model, add: bool) -> str:
        """Return the number in E.164; raise InvalidSMS if the text is no number."""
        number = read_number(getattr(model_instance, self.attname))
        setattr(model_instance, self.attname, number)
        return number

    def get_prep_value(self, value: Any) -> Any:
        with suppress(InvalidSMS):
            return read_number(value)
        return super().get_prep_value(value)


class ReversedDigitsField(models.CharField):
    """The digits of a number, the last one first, so that an index finds numbers by their end.

    It is a column, not an index on an expression: SQLite would need a function that exists only in
    Django's connections, so no other program could write to the table.
    """

    def __init__(self, *args: Any, of: str = "", **kwargs: Any) -> None:
        self.of = of
        # Through the database's default, an older release without this column can still insert
        # rows.
        kwargs |= {"max_length": 32, "blank": True, "editable": False, "db_default": ""}
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> tuple[str, str, Any, dict[str, Any]]:
        name, path, args, kwargs = super().deconstruct()
        for fixed in ("max_length", "blank", "editable", "db_default"):
            kwargs.pop(fixed, None)
        return name, path, args, kwargs | {"of": self.of}

    def pre_save(self, model_instance: models.Model, add: bool) -> str:
        """Reverse the number that is written. `update()` does not call this."""
        value = reversed_digits(getattr(model_instance, self.of))
        setattr(model_instance, self.attname, value)
        return value


def reversed_digits(number: str) -> str:
    """Return the digits of "+39333…" backwards, or "" if it is not a complete number."""
    digits = number.removeprefix("+")
    return digits[::-1] if digits.isascii() and digits.isdecimal() else ""


def user_field(verbose_name: Any, **options: Any) -> models.ForeignKey[Any, Any]:
    """Return the field of the user who did something; the row outlives the user."""
    return models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        verbose_name=verbose_name,
        null=True,
        blank=True,
        related_name="+",
        **options,
    )


def stored_user(user: Any) -> Any:
    """Return the user, or None for an anonymous one, to whom no row can point."""
    return None if getattr(user, "is_anonymous", False) else user
