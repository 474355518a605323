"""Model fields: exact texts, states, phone numbers, reversed digits, and users."""

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
    """A field whose value has the type T, for type checkers that do not know Django's models."""


class ExactCharField(models.CharField):
    """A text that is compared exactly, on every database.

    By default, MariaDB treats "INVOICE-1", "invoice-1" and "invoice-1 " as equal. MySQL treats the
    first two as equal. So this field has a binary collation on these databases.
    """

    def db_parameters(self, connection: BaseDatabaseWrapper) -> dict[str, Any]:
        parameters: dict[str, Any] = super().db_parameters(connection)
        if connection.vendor == "mysql":
            is_mariadb = getattr(connection, "mysql_is_mariadb", False)
            parameters["collation"] = "utf8mb4_nopad_bin" if is_mariadb else "utf8mb4_0900_bin"
        return parameters


class StateField(models.CharField):
    """The state of a message. Queries contain states as literals, not as parameters.

    A database can use a partial index only if the index's condition follows from the query. But
    PostgreSQL sometimes plans a prepared statement before it knows the values of the parameters.
    """


class _LiteralStates:
    def process_rhs(self, compiler: Any, connection: BaseDatabaseWrapper) -> tuple[str, Any]:
        lookup: Any = super()
        sql, params = lookup.process_rhs(compiler, connection)
        # Other texts stay parameters: they may be user input.
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
    """A telephone number. Saving a row converts the number to E.164.

    If the text is not a telephone number, saving raises InvalidSMS.
    """

    def pre_save(self, model_instance: models.Model, add: bool) -> str:
        number = read_number(getattr(model_instance, self.attname))
        setattr(model_instance, self.attname, number)
        return number

    def get_prep_value(self, value: Any) -> Any:
        with suppress(InvalidSMS):
            return read_number(value)
        return super().get_prep_value(value)


class ReversedDigitsField(models.CharField):
    """The digits of a number in reverse order, to find numbers by their last digits.

    An index on an SQL expression would need no field. But on SQLite, that index would call a
    function that only Django's connections have, so other programs could not write to the table.
    """

    def __init__(self, *args: Any, of: str = "", **kwargs: Any) -> None:
        self.of = of
        # With a default in the database, an older release can insert rows without this column.
        kwargs |= {"max_length": 32, "blank": True, "editable": False, "db_default": ""}
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> tuple[str, str, Any, dict[str, Any]]:
        name, path, args, kwargs = super().deconstruct()
        for fixed in ("max_length", "blank", "editable", "db_default"):
            kwargs.pop(fixed, None)
        return name, path, args, kwargs | {"of": self.of}

    def pre_save(self, model_instance: models.Model, add: bool) -> str:
        """Set and return the reversed digits. `QuerySet.update()` does not call this method."""
        value = reversed_digits(getattr(model_instance, self.of))
        setattr(model_instance, self.attname, value)
        return value


def reversed_digits(number: str) -> str:
    """Return the digits of "+39333" as "33393". Return "" if digits were deleted, as in "+39…"."""
    digits = number.removeprefix("+")
    return digits[::-1] if digits.isascii() and digits.isdecimal() else ""


def user_field(verbose_name: Any, **options: Any) -> models.ForeignKey[Any, Any]:
    """Return a foreign key to a user. If the user is deleted, the key becomes NULL."""
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
    """Return the user, or None for an anonymous user."""
    return None if getattr(user, "is_anonymous", False) else user
