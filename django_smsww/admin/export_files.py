"""Write messages to a CSV or XLSX file, and stream the file."""

import csv
import re
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from decimal import Decimal
from itertools import islice
from tempfile import TemporaryFile
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone

from ..clock import local_time
from ..models import Message
from ..models.viewer import HIDDEN, Viewer
from ..sending.spreadsheets import openpyxl

ROWS_AT_ONCE = 500
BYTES_AT_ONCE = 64 * 1024

CSV = "text/csv; charset=utf-8"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

BYTE_ORDER_MARK = "\ufeff"
"""Without this mark, Excel does not recognise UTF-8, and uses the code page of the machine."""

# The characters that begin a formula in a spreadsheet, also in the wide forms of East Asia.
_FORMULA = "[=+\\-@＝＋－＠]"
_begins_formula = re.compile(rf"\s*{_FORMULA}|[\t\r\n]").match
# In languages with decimal commas, Excel splits at semicolons; other programs split at tabs. They
# ignore the quotes around a cell with commas, so a line break in the cell begins a line.
_escape_formulas = re.compile(rf'([;\t\r\n][\s"]*)({_FORMULA})').sub
# A number in E.164 and an amount compute nothing, and must stay unchanged.
_is_number = re.compile(r"\+[0-9]{7,15}|-?[0-9]+(\.[0-9]+)?").fullmatch
# XML forbids these characters.
_replace_controls = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]").sub

COLUMNS = (
    "reference",
    "created_at",
    "recipient",
    "redirected_to",
    "body",
    "state",
    "country",
    "sender",
    "encoding",
    "segments",
    "tag",
    "batch",
    "alias",
    "origin",
    "dry_run",
    "provider_id",
    "sent_at",
    "delivered_at",
    "created_by",
    "key",
    "price",
    "total_price",
    "penalty",
    "error",
    "error_code",
    "error_status",
)
MASKED = ("recipient", "body")
COSTS = ("price", "total_price", "penalty")


def answer(request: HttpRequest, rows: QuerySet[Any], *, xlsx: bool) -> StreamingHttpResponse:
    viewer = Viewer.of(request)
    if xlsx:
        kind, extension = XLSX, "xlsx"
        pieces: Iterator[Any] = _xlsx(rows, viewer)
    else:
        kind, extension, pieces = CSV, "csv", _csv(rows, viewer)
    # Under ASGI, Django reads a plain iterator to its end before it sends anything.
    body = _asynchronous(pieces) if isinstance(request, ASGIRequest) else pieces
    name = f"messages-{timezone.now():%Y-%m-%d}.{extension}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return StreamingHttpResponse(body, content_type=kind, headers=headers)


async def _asynchronous(pieces: Iterator[Any]) -> AsyncIterator[Any]:
    following = sync_to_async(lambda: next(pieces, None))
    while (piece := await following()) is not None:
        yield piece


def columns(viewer: Viewer) -> list[str]:
    """Return the columns for this viewer.

    A viewer who may not see numbers and texts still gets the columns "recipient" and "body", with
    masked values.
    """
    secret = {
        *(() if viewer.sees_content else ("key", "redirected_to")),
        *(() if viewer.sees_costs else COSTS),
    }
    return [name for name in COLUMNS if name not in secret]


class Echo:
    """A file object for `csv` whose method `write()` returns each line and stores nothing."""

    def write(self, line: str) -> str:
        return line


def _csv(rows: QuerySet[Any], viewer: Viewer) -> Iterator[str]:
    writer = csv.writer(Echo())
    yield BYTE_ORDER_MARK + writer.writerow(columns(viewer))
    for block in _blocks(rows, viewer):
        yield "".join(writer.writerow([safe(_text(value)) for value in line]) for line in block)


def _xlsx(rows: QuerySet[Any], viewer: Viewer) -> Iterator[bytes]:
    """Yield the bytes of a workbook. Text cells keep leading zeros, and are never formulas."""
    book = openpyxl().Workbook(write_only=True)
    sheet = book.create_sheet()
    names = columns(viewer)
    for number in range(len(names)):
        # Excel shows a date as "#####" where the column is narrow.
        sheet.column_dimensions[openpyxl().utils.get_column_letter(number + 1)].width = 20
    text, time = (openpyxl().cell.WriteOnlyCell(sheet) for _ in range(2))
    text.number_format, time.number_format = "@", "yyyy-mm-dd hh:mm:ss"
    sheet.append(names)
    for block in _blocks(rows, viewer):
        for line in block:
            # Each cell is written before the next value goes into it.
            sheet.append(_cell(value, text, time) for value in line)
    with TemporaryFile() as file:
        book.save(file)
        file.seek(0)
        while piece := file.read(BYTES_AT_ONCE):
            yield piece


def _cell(value: Any, text: Any, time: Any) -> Any:
    """Put the value into a cell of the right type, and return the cell.

    A datetime goes into the cell `time`, and a text into the cell `text`. Numbers and None need
    no cell, so they are returned unchanged.
    """
    if isinstance(value, datetime):
        time.value = value.replace(tzinfo=None)
        return time
    if value is None or isinstance(value, int | Decimal):
        return value
    text.value = _replace_controls("\ufffd", str(value))
    text.data_type = "s"  # the library takes "=1" for a formula
    return text


def _blocks(rows: QuerySet[Any], viewer: Viewer) -> Iterator[Iterator[list[Any]]]:
    """Yield blocks of messages. A block contains a list of values for each message."""
    names = columns(viewer)
    # Not iterator(): its server-side cursor is lost behind PgBouncer when the transaction ends.
    primary_keys = iter(list(rows.values_list("pk", flat=True)))
    every = Message.objects.using(rows.db).select_related("created_by")
    while some := list(islice(primary_keys, ROWS_AT_ONCE)):
        found = every.in_bulk(some)
        messages = (found[key] for key in some if key in found)
        yield ([_value(message, name, viewer) for name in names] for message in messages)


def _value(message: Message, name: str, viewer: Viewer) -> Any:
    if name in MASKED and not viewer.sees_content:
        return HIDDEN
    if name == "error_code" and not viewer.may_read_error(message):
        return HIDDEN
    value = getattr(message, name)
    return local_time(value).replace(microsecond=0) if isinstance(value, datetime) else value


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return f"{value:f}"
    return "" if value is None else str(value)


def safe(text: str) -> str:
    """Put an apostrophe before a text that a spreadsheet would read as a formula.

    Text after a semicolon, a tab or a line break also gets an apostrophe, because some spreadsheets
    begin a new cell there.
    """
    if _is_number(text):
        return text
    text = _escape_formulas(r"\1'\2", text)
    return "'" + text if _begins_formula(text) else text
