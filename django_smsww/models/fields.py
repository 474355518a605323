"""A column that is derived from another one when a row is written."""

from __future__ import annotations

from typing import Any

from django.db import models


class ReversedDigitsField(models.CharField):
    """The digits of a number, the last one first, so that an index finds numbers by their end.

    A column, and not an index on an expression: the function that SQLite would need exists only
    where Django is connected, and nothing else could write to the database any more.
    """

    def __init__(self, *args: Any, of: str = "", **kwargs: Any) -> None:
        self.of = of
        # The database's default is for a release that does not know the column yet.
        kwargs |= {"max_length": 32, "blank": True, "editable": False, "db_default": ""}
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> tuple[str, str, Any, dict[str, Any]]:
        """Tell a migration what the column is made of."""
        name, path, args, kwargs = super().deconstruct()
        for fixed in ("max_length", "blank", "editable", "db_default"):
            kwargs.pop(fixed, None)
        return name, path, args, kwargs | {"of": self.of}

    def pre_save(self, model_instance: models.Model, add: bool) -> str:
        """Return what belongs to the number that is written; `update()` does not come by here."""
        value = reversed_digits(getattr(model_instance, self.of))
        setattr(model_instance, self.attname, value)
        return value


def reversed_digits(number: str) -> str:
    """Return the digits of "+39333…" backwards, or "" if it is not a complete number."""
    digits = number.removeprefix("+")
    return digits[::-1] if digits.isascii() and digits.isdecimal() else ""
