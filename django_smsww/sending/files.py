"""CSV files of messages: UTF-8, a line of column names, then a line for each message."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TextIO

COLUMNS = ("recipient", "body", "sender", "key", "tag")

Row = tuple[int, Mapping[str, str]]


class UnusableFileError(ValueError):
    """The file cannot be used; the text says what to write instead."""


def read_columns(path: Path) -> list[str]:
    """Return the names of the columns, each of them one of `COLUMNS`.

    Raises:
        UnusableFileError: it cannot be read, or has other columns.
    """
    with _opened(path) as file:
        columns = _names(file)
    _check(columns)
    return columns


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the number of the line and the fields of each row.

    Raises:
        UnusableFileError: it cannot be read any further.
    """
    with _opened(path) as file:
        reader = csv.reader(file, delimiter=_delimiter(file), strict=True)
        columns, line = _tidy(next(reader, [])), reader.line_num
        for values in reader:
            number, line = line + 1, reader.line_num
            if len(values) > len(columns):
                raise UnusableFileError(
                    f"Line {number} has more fields than there are columns: put texts with the "
                    "delimiter in them between double quotes."
                )
            if values:  # an empty line is none
                yield number, dict(zip(columns, values, strict=False))


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    """Open the file; whatever makes it unreadable has one class, and no text of the file in it."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield file
    except OSError as error:
        raise UnusableFileError(f"The file cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise UnusableFileError(
            f"The file is not in UTF-8 (byte {error.start}): save it as such."
        ) from None
    except csv.Error as error:
        raise UnusableFileError(f"The file is not in the form of CSV: {error}.") from None


def _delimiter(file: TextIO) -> str:
    """Return what stands between the columns, as the line of their names shows."""
    names = file.readline()
    file.seek(0)
    return max(",;\t", key=names.count)


def _names(file: TextIO) -> list[str]:
    return _tidy(next(csv.reader(file, delimiter=_delimiter(file)), []))


def _tidy(names: list[str]) -> list[str]:
    return [name.strip().lower() for name in names]


def _check(columns: list[str]) -> None:
    known = ", ".join(COLUMNS)
    for name in columns:
        if name not in COLUMNS:
            meant = get_close_matches(name, COLUMNS, n=1)
            hint = f"Did you mean {meant[0]!r}?" if meant else "Rename or remove it."
            raise UnusableFileError(f"Unknown column {name!r}; known are {known}. {hint}")
    if "recipient" not in columns:
        raise UnusableFileError(f"There is no column 'recipient'; known are {known}.")
    if len(set(columns)) != len(columns):
        raise UnusableFileError("A column stands there twice.")
