"""CSV files of messages: UTF-8, a line of column names, then a line for each message."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

COLUMNS = ("recipient", "body", "sender", "key", "tag")

Row = tuple[int, Mapping[str, str]]
"""The number of a line, and its fields by the names of their columns."""


class UnusableFileError(ValueError):
    """The file cannot be used; the text says what to write instead."""


def read_columns(path: Path) -> list[str]:
    """Return the names of the columns, each of them one of `COLUMNS`.

    Raises:
        UnusableFileError: it cannot be read, or has other columns.
    """
    with _opened(path) as reader:
        columns = _column_names(reader)
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
    return columns


def read_rows(path: Path) -> Iterator[Row]:
    """Yield each row with the number of its first line.

    Raises:
        UnusableFileError: it cannot be read any further.
    """
    with _opened(path) as reader:
        columns, line = _column_names(reader), reader.line_num
        for values in reader:
            number, line = line + 1, reader.line_num
            if len(values) > len(columns):
                raise UnusableFileError(
                    f"Line {number} has more fields than there are columns: put texts with the "
                    "delimiter in them between double quotes."
                )
            if values:  # csv reads an empty line as no values
                yield number, dict(zip(columns, values, strict=False))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Yield a CSV reader of the file. Its errors have one class, and hold no text of the file."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            names = file.readline()
            file.seek(0)
            yield csv.reader(file, delimiter=max(",;\t", key=names.count), strict=True)
    except OSError as error:
        raise UnusableFileError(f"The file cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        text = f"The file is not in UTF-8 (byte {error.start}): save it as such."
        raise UnusableFileError(text) from None
    except csv.Error as error:
        raise UnusableFileError(f"The file is not in the form of CSV: {error}.") from None


def _column_names(reader: Iterator[list[str]]) -> list[str]:
    return [name.strip().lower() for name in next(reader, [])]
