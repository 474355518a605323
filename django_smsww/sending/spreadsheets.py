"""Read the cells of CSV and XLSX files that spreadsheets and other programs have written."""

import codecs
import csv
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from io import TextIOWrapper
from typing import Any, BinaryIO, TextIO
from zipfile import ZipFile

from django.utils.translation.trans_null import gettext_noop as _

from ..exceptions import InvalidSMS

Line = tuple[int, list[str]]
"""A pair: the number of a line, and its cells without the empty cells at the end."""

MOST_UNPACKED = 64 * 1024 * 1024
"""The maximum size of an unpacked XLSX file in bytes. A larger file could fill the memory."""

DELIMITERS = ",;\t"
_ZIP, _OLD_EXCEL = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_without_quoted = re.compile(r'"[^"]*"').sub
# Excel reads the delimiter from a first line such as "sep=;", and does not show that line.
_is_separator_line = re.compile(r'"?sep=(\t|[^\w\s"])"?\s*', re.IGNORECASE).fullmatch


class UnusableFileError(InvalidSMS):
    """The file cannot be used. The error text says what to correct."""


class UnknownEncodingError(UnusableFileError):
    """The file is not in the given encoding."""


def read_lines(file: BinaryIO, encoding: str = "utf-8") -> Iterator[Line]:
    """Yield the lines that are not empty. Raise UnusableFileError if a line cannot be read.

    If the file has a byte order mark, `encoding` is ignored.
    """
    start = file.read(4)
    file.seek(0)
    if start == _OLD_EXCEL:
        raise UnusableFileError(_("The file is in the old format of Excel: save it as XLSX."))
    lines = _read_xlsx(file) if start == _ZIP else _read_csv(file, _encoding(start, encoding))
    yield from _filled(lines)


def read_text(text: TextIO) -> Iterator[Line]:
    return _filled(_split(text))


def openpyxl() -> Any:
    """Import and return the library openpyxl. Raise UnusableFileError if it is not installed."""
    try:
        import openpyxl  # an extra, and slow to import
    except ImportError:
        text = _("XLSX files need the extra: pip install 'django-smsww[xlsx]'. Or save it as CSV.")
        raise UnusableFileError(text) from None
    return openpyxl


def _filled(lines: Iterator[Line]) -> Iterator[Line]:
    for number, cells in lines:
        while cells and not cells[-1].strip():
            cells.pop()
        if cells:
            yield number, cells


def _encoding(start: bytes, encoding: str) -> str:
    if start.startswith(_UTF_16):
        return "utf-16"
    return "utf-8-sig" if start.startswith(codecs.BOM_UTF8) else encoding


def _read_csv(file: BinaryIO, encoding: str) -> Iterator[Line]:
    try:
        text = TextIOWrapper(file, encoding, newline="")
    except LookupError:
        raise UnusableFileError(f"Python knows no encoding {encoding!r}.") from None
    with text:
        try:
            yield from _split(text)
        except UnicodeError:
            raise _wrong_encoding(file, encoding) from None


def _wrong_encoding(file: BinaryIO, encoding: str) -> UnknownEncodingError:
    text = _(
        "Line %(line)d is not in %(encoding)s. Save the file as “CSV UTF-8”, or give its encoding "
        "(Excel in Western Europe: --encoding cp1252)."
    )
    file.seek(0)
    line, name = 1, encoding.removesuffix("-sig").upper()
    with suppress(UnicodeError):
        for part in codecs.iterdecode(file, encoding):
            line += part.count("\n")
    return UnknownEncodingError(text, params={"line": line, "encoding": name})


def _split(text: TextIO) -> Iterator[Line]:
    first = text.readline()
    if separator := _is_separator_line(first):
        delimiter, line = separator[1], 1
    else:
        text.seek(0)
        delimiter, line = max(DELIMITERS, key=_without_quoted("", first).count), 0
    reader, before = csv.reader(text, delimiter=delimiter, strict=True), line
    try:
        for cells in reader:
            number, line = line + 1, before + reader.line_num
            yield number, cells
    except csv.Error as error:
        raise UnusableFileError(
            _("Line %(line)d is not in the form of CSV: %(error)s."),
            params={"line": line + 1, "error": error},
        ) from None


def _read_xlsx(file: BinaryIO) -> Iterator[Line]:
    load_workbook = openpyxl().load_workbook
    try:
        _check_size(file)
        book = load_workbook(file, read_only=True, data_only=True)
        sheet = next(each for each in book.worksheets if each.sheet_state == "visible")
        sheet.reset_dimensions()  # the size that a file states may be wrong
        for number, cells in enumerate(sheet.iter_rows(), 1):
            yield number, [_content(number, cell) for cell in cells]
    except UnusableFileError:
        raise
    except Exception as error:  # the library raises errors of any class for a broken file
        text = _("The file cannot be read as XLSX (%(error)s): save it again, or as CSV.")
        raise UnusableFileError(text, params={"error": type(error).__name__}) from None


def _check_size(file: BinaryIO) -> None:
    with ZipFile(file) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > MOST_UNPACKED:
        raise UnusableFileError(_("The file is too large when unpacked: save it as CSV."))


def _content(line: int, cell: Any) -> str:
    value = cell.value
    if cell.data_type == "e":
        text = _("Line %(line)d, column %(column)s has the error %(error)s.")
        params = {"line": line, "column": cell.column_letter, "error": value}
        raise UnusableFileError(text, params=params)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, date):
        return value.isoformat()
    return "" if value is None else str(value)
