"""The history over REST: what users see of it, and find in it."""

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from django_smsww.models import Callback, Event, Message
from tests.conftest import NUMBER

from .conftest import MESSAGES, page_of

PRIVATE = {"recipient": NUMBER, "body": "Your table is free", "key": "order-7"}
CUSTOM = {"custom": {"order": 7}, "blocklisted_reason": "Ada asked for it"}
NOBODY, BATCH = UUID(int=1), UUID(int=2)
COSTS = {"price": Decimal("0.0693"), "total_price": Decimal("0.1386")}


@pytest.fixture
def message(make_message):
    row = make_message(**PRIVATE, **CUSTOM, **COSTS, state="DELIVERED", tag="table")
    payload = {"state": "DELIVERED", "totalPrice": 0.1386}
    Callback.objects.create(message=row, reference=row.reference, outcome="moved", payload=payload)
    Event.objects.create(message=row, kind="settled", reason=f"{NUMBER} called")
    return row


def listed(response):
    assert response.status_code == 200, response.data
    return [row["reference"] for row in response.data["results"]]


def references(*rows):
    return [str(row.reference) for row in rows]


def test_a_reader_sees_a_message_with_its_callbacks_and_events(reader, message):
    shown = reader.get(page_of(message)).data
    assert {name: shown[name] for name in (*PRIVATE, *CUSTOM)} == PRIVATE | CUSTOM
    assert (shown["state"], shown["total_price"]) == ("DELIVERED", "0.138600")
    assert [each["payload"]["totalPrice"] for each in shown["callbacks"]] == [0.1386]
    assert [each["reason"] for each in shown["events"]] == [f"{NUMBER} called"]


def test_a_viewer_sees_who_sent_a_message(client_of, make_message):
    client = client_of("view_message")
    make_message(origin="elsewhere")
    make_message(created_by=client.user)
    shown = client.get(MESSAGES).data["results"]
    assert [(row["origin"], row["created_by"]) for row in shown] == [
        ("here", client.user.pk),
        ("elsewhere", None),
    ]


@pytest.mark.parametrize("path", [MESSAGES, page_of])
def test_numbers_texts_and_prices_are_hidden_without_their_permissions(client_of, message, path):
    response = client_of("view_message").get(path(message) if callable(path) else path)
    text = response.content.decode()
    private = (NUMBER[3:], "table is", "order", "Ada", "0.138600", "totalPrice")
    assert [word for word in private if word in text] == []
    assert "DELIVERED" in text


def test_a_payload_without_prices_is_shown_to_who_may_not_see_costs(client_of, message):
    client = client_of("view_message", "view_message_content", "view_callback")
    [callback] = client.get(page_of(message)).data["callbacks"]
    assert callback["payload"] == {"state": "DELIVERED", "totalPrice": "•••••"}


def test_a_payload_is_for_those_who_may_view_callbacks(client_of, message):
    client = client_of("view_message", "view_message_content", "view_message_costs")
    [callback] = client.get(page_of(message)).data["callbacks"]
    assert callback["payload"] is None


def test_the_error_of_an_empty_wallet_is_hidden_with_the_costs(client_of, make_message):
    make_message(state="FAILED", error="InsufficientCredit", error_text="0.02 EUR are missing")
    [row] = client_of("view_message").get(MESSAGES).data["results"]
    assert (row["error"], row["error_text"]) == ("InsufficientCredit", None)


@pytest.mark.parametrize(
    ("method", "path"), [("get", MESSAGES), ("options", MESSAGES), ("get", f"{MESSAGES}{NOBODY}/")]
)
def test_nobody_reads_without_the_permission(client_of, method, path):
    assert getattr(client_of(), method)(path).status_code == 403
    assert getattr(APIClient(), method)(path).status_code in (401, 403)


def test_nothing_is_changed_or_deleted(reader, message):
    for method in ("put", "patch", "delete"):
        assert getattr(reader, method)(page_of(message)).status_code == 405
    assert Message.objects.filter(pk=message.pk, body=PRIVATE["body"]).exists()


def test_an_unknown_reference_is_not_found(reader):
    assert reader.get(f"{MESSAGES}{NOBODY}/").status_code == 404


def test_pages_lead_from_the_newest_message_to_the_oldest(reader, make_message):
    rows = [make_message() for _ in range(5)]
    first = reader.get(MESSAGES, {"page_size": 3})
    second = reader.get(first.data["next"])
    assert listed(first) + listed(second) == references(*reversed(rows))
    assert second.data["next"] is None


@pytest.mark.parametrize("cursor", ["cD1h", "cD05OTk5OTk5OTk5OTk5OTk5OTk5OTk5OQ==", "%00", "x"])
def test_a_cursor_that_is_none_of_ours_is_not_found(reader, cursor):
    assert reader.get(MESSAGES, {"cursor": cursor}).status_code == 404


@pytest.mark.parametrize(
    ("columns", "asked"),
    [
        ({"state": "FAILED"}, {"state": "FAILED"}),
        ({"tag": "otp"}, {"tag": "otp"}),
        ({"batch": BATCH}, {"batch": str(BATCH)}),
        ({"dry_run": True}, {"dry_run": "true"}),
        ({"origin": "elsewhere"}, {"origin": "elsewhere"}),
        ({"provider_id": "p-7"}, {"provider_id": "p-7"}),
        ({"key": "order-7"}, {"key": "order-7"}),
        ({"recipient": "+34612345678"}, {"recipient": "+34 612 345 678"}),
    ],
)
def test_a_filter_finds_its_messages(reader, make_message, columns, asked):
    make_message()
    found = make_message(**columns)
    assert listed(reader.get(MESSAGES, asked)) == references(found)


def test_a_period_finds_its_messages(reader, make_message):
    old = make_message(created_at=timezone.now() - timedelta(days=9))
    make_message()
    noon = (timezone.now() - timedelta(days=1)).isoformat()
    assert listed(reader.get(MESSAGES, {"created_at_before": noon})) == references(old)


@pytest.mark.parametrize(
    ("at", "count"),
    [
        ("0078-03-23T02:08:04-23:39", 1),  # PostgreSQL takes no such offset
        ("0001-01-01T00:00:00+23:59", 1),
        ("9999-12-31T23:59:59-23:59", 0),
    ],
)
def test_a_period_may_have_any_offset(reader, message, at, count):
    assert len(listed(reader.get(MESSAGES, {"created_at_after": at}))) == count


@pytest.mark.parametrize("name", ["recipient", "key"])
def test_no_filter_reveals_what_the_user_may_not_see(client_of, message, name):
    response = client_of("view_message").get(MESSAGES, {name: PRIVATE[name]})
    assert response.status_code == 403
    assert response.data["detail"] == f"You may not filter by {name}, because you may not see it."


@pytest.mark.parametrize("name", ["body__contains", "search", "ordering", "total_price__gt"])
def test_what_is_no_filter_changes_nothing(client_of, make_message, name):
    rows = [make_message(body="b"), make_message(body="a")]
    found = client_of("view_message").get(MESSAGES, {name: "body"})
    assert listed(found) == references(*reversed(rows))


@pytest.mark.parametrize(
    "asked", [{"state": "LOST"}, {"batch": "x"}, {"recipient": "nobody"}, {"created_at_after": "x"}]
)
def test_a_wrong_value_of_a_filter_is_refused(reader, asked):
    response = reader.get(MESSAGES, asked)
    assert (response.status_code, len(response.data)) == (400, 1)


def test_a_list_takes_one_statement_however_long_it_is(
    reader, make_message, django_assert_num_queries
):
    reader.get(MESSAGES)  # the permissions are read once
    for user in (None, reader.user):
        for _ in range(5):
            make_message(created_by=user, resend_of=make_message())
    with django_assert_num_queries(1):
        assert len(reader.get(MESSAGES).data["results"]) == 20


def test_a_message_takes_three_statements(reader, message, django_assert_num_queries):
    message = Message.objects.get()
    reader.get(MESSAGES)
    for number in range(120):
        Event.objects.create(message=message, kind="attempt", error_code=str(number))
    with django_assert_num_queries(3):
        shown = reader.get(page_of(message)).data
    codes = [each["error_code"] for each in shown["events"]]
    assert (len(codes), codes[0]) == (100, "119")


def test_a_project_narrows_the_rows_down(client_of, make_message, settings):
    settings.ROOT_URLCONF = "tests.contrib.api.own_urls"
    client = client_of("view_message")
    mine, other = make_message(created_by=client.user), make_message()
    assert listed(client.get("/own/")) == references(mine)
    assert client.get(f"/own/{other.reference}/").status_code == 404


def test_the_browsable_pages_open(reader, message):
    for path in (MESSAGES, page_of(message)):
        assert reader.get(path, headers={"Accept": "text/html"}).status_code == 200
