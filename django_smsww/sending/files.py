"""Read files of messages (the first line has the column names), and files of only numbers."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import BinaryIO, NamedTuple

from .spreadsheets import DELIMITERS, Line, UnusableFileError, read_lines

COLUMNS = ("recipient", "body", "sender", "key", "tag")

Row = tuple[int, Mapping[str, str]]
"""A pair: the number of a line, and the fields of the line by column name."""

# Spreadsheets put an apostrophe before a number that they must not compute.
QUOTES = "\"' "
_cells_of = re.compile(f"[{DELIMITERS}]").split
has_digit = re.compile(r"\d").search
has_delimiter = re.compile(f"[{DELIMITERS}]").search
_starts_with_plus = re.compile(f"[{QUOTES}]*[+＋]").match


class Cell(NamedTuple):
    """A cell with a telephone number, in a list of numbers."""

    line: int
    column: str
    value: str


def read_columns(path: Path, encoding: str = "utf-8") -> list[str]:
    """Return the column names in the first line of a file. An empty cell becomes the name "".

    Raise UnusableFileError if a name is unknown or occurs twice, or if "recipient" is missing.
    """
    with _opened(path) as file:
        return _column_names(read_lines(file, encoding))


def read_rows(path: Path, encoding: str = "utf-8") -> Iterator[Row]:
    """Yield each row as a pair: the number of its first line, and its fields by column name.

    Raise UnusableFileError if a line cannot be used.
    """
    with _opened(path) as file:
        lines = read_lines(file, encoding)
        columns = _column_names(lines)
        for number, values in lines:
            names = columns + [""] * (len(values) - len(columns))
            for place, (name, value) in enumerate(zip(names, values, strict=False), 1):
                if value.strip() and not name:
                    raise UnusableFileError(
                        f"{place_of(number, str(place), value)}: the column has no name. Put texts "
                        "with the delimiter in them between double quotes."
                    )
            yield number, dict(zip(names, values, strict=False))


def find_recipients(lines: Iterator[Line], *, is_typed: bool = False) -> Iterator[Cell]:
    """Yield the cells that should contain a telephone number.

    The first line is a line of column names if one of its cells is "recipient", or if none of its
    cells has a digit. With column names, yield the cells of the column "recipient" or, if this
    column is missing, of the first column.

    Without column names, yield the first cell of each line, and all further cells that start with
    a plus sign. If `is_typed` is True, yield all further cells with a digit, even without a plus.
    """
    first = next(lines, None)
    if first is None:
        return
    names = [name.strip().lower() for name in first[1]]
    if "recipient" in names or not any(map(has_digit, names)):
        index = names.index("recipient") if "recipient" in names else 0
        for line, values in lines:
            if value := clean_number("".join(values[index : index + 1])):
                yield Cell(line, names[index] or str(index + 1), value)
        return
    is_number = has_digit if is_typed else _starts_with_plus
    yield from _numbers_of(first, is_number)
    for each in lines:
        yield from _numbers_of(each, is_number)


def _numbers_of(line: Line, is_number: Callable[[str], object]) -> Iterator[Cell]:
    number, values = line
    for column, value in enumerate(values, 1):
        for place, part in enumerate(_cells_of(value)):
            is_first = column == 1 and place == 0
            if (is_first or is_number(part)) and (cleaned := clean_number(part)):
                yield Cell(number, str(column), cleaned)


def clean_number(value: str) -> str:
    """Remove the spaces around a number, and quotes that spreadsheets put around or before it."""
    return value.strip().strip(QUOTES)


def place_of(line: int, column: str, value: str) -> str:
    """Return the line, the column and the masked value, for an error text."""
    return f'Line {line}, column {column}, "{masked(value)}"'


def masked(value: str) -> str:
    """Return the beginning of a value, with "•" for each digit and "x" for each letter."""
    shown = (
        "•" if each.isdecimal() else "x" if each.isalnum() or not each.isprintable() else each
        for each in value[:20]
    )
    return "".join(shown) + "…" * (len(value) > 20)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise UnusableFileError(f"The file cannot be read: {error.strerror or error}.") from None


def _column_names(lines: Iterator[Line]) -> list[str]:
    line, cells = next(lines, (1, []))
    names = [name.strip().lower() for name in cells]
    known = f"known are {', '.join(COLUMNS)}."
    for place, name in enumerate(names, 1):
        if name and name not in COLUMNS:
            meant = get_close_matches(name, COLUMNS, n=1)
            hint = f"Did you mean {meant[0]!r}?" if meant else "Rename or remove it."
            shown = re.sub(r"\d", "•", name)  # it may be a number, where a file has no names
            raise UnusableFileError(
                f"Line {line}: unknown column {place}, {shown!r}; {known} {hint}"
            )
        if name and name in names[place:]:
            raise UnusableFileError(f"Line {line}: there are two columns {name!r}.")
    if "recipient" not in names:
        raise UnusableFileError(f"There is no column 'recipient'; {known}")
    return names
