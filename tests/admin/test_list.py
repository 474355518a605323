"""The lists of the admin: columns, filters, pages and search."""

import html
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.utils import timezone

from django_smsww import State
from django_smsww.admin import base as history
from django_smsww.admin import search
from django_smsww.admin.filters import start_of_day
from django_smsww.models import Suspension
from django_smsww.models.viewer import HIDDEN
from django_smsww.operations import retention as privacy

from ..conftest import NUMBER
from ..support.people import LIST, admin_url, browser_of, listed, missing, page, staff, text_of
from ..support.plans import reads
from ..support.sampling import slow_unless

ID = UUID("6f1d0a52-0000-4000-8000-000000000001")
CALLBACKS = admin_url("callback_changelist")
pytestmark = pytest.mark.django_db


def test_the_list_shows_what_support_asks_for(browser, make_message):
    make_message(
        state=State.DELIVERED, country="IT", segments=3, total_price=Decimal("0.210000"), tag="otp"
    )
    shown = (NUMBER, "IT", "Hello", "Delivered", ">3 <", "0.21 EUR", "otp", "Segments, price")
    assert not missing(browser.get(LIST), *shown)
    without_costs = browser_of(staff("view_message", name="eve")).get(LIST)
    assert missing(without_costs, "Segments", "price") == ["price"]


def test_the_list_names_aliases_if_there_are_two(browser, make_message, settings):
    make_message(alias="shop")
    assert missing(browser.get(LIST), "field-alias") == ["field-alias"]
    settings.SMSWW = dict.fromkeys(("default", "shop"), settings.SMSWW["default"])
    assert not missing(browser.get(LIST), "field-alias", "shop")


def test_the_list_shows_the_day_and_its_title_the_whole_time(browser, make_message):
    at = datetime(2025, 3, 1, 12, 30, tzinfo=UTC)
    make_message(created_at=at)
    assert not missing(browser.get(LIST), 'title="March 1, 2025, 1:30 p.m."', "1 Mar 2025", "13:30")


def test_a_redirected_message_says_so_in_the_list_and_on_its_page(browser, make_message):
    message = make_message(redirected_to="+393335550001", country="IT")
    viewer = browser_of(staff("view_message", name="eve"))
    for address in (LIST, page(message)):
        assert not missing(browser.get(address), NUMBER, "redirected to", "+393335550001")
        shown = (HIDDEN, "redirected to", NUMBER, "+393335550001")
        assert missing(viewer.get(address), *shown) == [NUMBER, "+393335550001"]


def test_the_newest_is_listed_first_whatever_the_query_string_says(browser, make_message):
    first, second = make_message(body="zz"), make_message(body="aa")
    for order in ("", "?o=1", "?o=3", "?o=-3.1"):
        rows = browser.get(LIST + order).context["cl"].result_list
        assert [row.pk for row in rows] == [second.pk, first.pk]


@pytest.mark.parametrize("address", [LIST, CALLBACKS])
def test_the_number_of_queries_does_not_grow_with_the_rows(browser, make_message, address, queries):
    counts = []
    for rows in (5, 45):
        for _ in range(rows):
            message = make_message(created_by=staff(name=str(uuid4())))
            message.callbacks.create(reference=message.reference, state="NEW", digest=str(uuid4()))
        with queries:
            browser.get(address)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 7


def test_the_list_counts_no_further_than_it_pages(browser, make_message, monkeypatch, queries):
    monkeypatch.setattr(history, "MOST_LISTED", 60)
    for _ in range(62):
        make_message()
    with queries:
        response = browser.get(LIST)
    assert response.context["cl"].result_count == 60
    assert not missing(response, "only the newest entries")
    counts = [query["sql"] for query in queries if "COUNT(" in query["sql"]]
    assert len(counts) == 1
    assert "LIMIT 61" in counts[0]
    assert len(listed(browser.get(LIST + "?p=2"))) == 10


def test_a_list_that_is_not_capped_does_not_say_so(browser, make_message):
    make_message()
    assert missing(browser.get(LIST), "only the newest")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("state=FAILED", {"failed"}),
        ("attention=yes", {"failed", "unknown", "old"}),
        ("attention=overdue", {"old"}),
        ("attention=overdue&state=FAILED", set()),
        ("tag=otp", {"unknown"}),
        ("tag=ot", set()),
        ("tag=", {"failed", "unknown", "dry", "old"}),
        ("country=it", {"failed"}),
        ("country=FR", set()),
        (f"batch={ID}", {"dry"}),
        ("batch=x", set()),
        ("until=2001-01-01", set()),
        ("since=2001-01-01", {"failed", "unknown", "dry", "old"}),
        ("since=2001-01-01&until=9998-01-01&tag=otp", {"unknown"}),
        ("dry_run=yes", {"dry"}),
        ("dry_run=no", {"failed", "unknown", "old"}),
        ("origin=elsewhere", {"dry"}),
        ("origin=here", {"failed", "unknown", "old"}),
        ("alias=default", {"failed", "unknown", "dry", "old"}),
        ("period=today", {"failed", "unknown", "dry"}),
        ("period=30", {"failed", "unknown", "dry"}),
        ("period=7&state=UNKNOWN", {"unknown"}),
    ],
)
def test_filters_narrow_the_list_down(browser, make_message, query, found):
    rows = {
        "failed": make_message(state=State.FAILED, country="IT"),
        "unknown": make_message(state=State.UNKNOWN, tag="otp"),
        "dry": make_message(state=State.VALIDATED, dry_run=True, batch=ID, origin="elsewhere"),
        "old": make_message(state=State.NEW, created_at=timezone.now() - timedelta(days=32)),
    }
    assert listed(browser.get(f"{LIST}?{query}")) == {rows[name].pk for name in found}


def test_one_choice_finds_all_that_did_not_arrive(browser, make_message):
    rows = {state: make_message(state=state).pk for state in State}
    undelivered = ("FAILED", "UNDELIVERABLE", "EXPIRED", "REJECTED")
    answer = browser.get(f"{LIST}?state=undelivered")
    assert listed(answer) == {rows[state] for state in undelivered}
    assert not missing(answer, ">Failed or not delivered<")


def test_what_was_resent_needs_no_attention(browser, make_message):
    old = make_message(state=State.FAILED)
    newer = make_message(state=State.FAILED, resend_of=old)
    assert listed(browser.get(f"{LIST}?attention=yes")) == {newer.pk}
    assert not missing(browser.get(LIST), "resent: Failed")


@pytest.mark.parametrize("query", ["", "?q=4567", "?q=%2B39", "?q=hell&period=7", "?p=2"])
def test_the_list_marks_what_was_resent(browser, make_message, queries, query, monkeypatch):
    monkeypatch.setattr("django_smsww.admin.base.ReadOnlyAdmin.list_per_page", 2)
    counts = []
    for _ in range(2):
        for _ in range(2):
            make_message(state=State.DELIVERED, resend_of=make_message(state=State.FAILED))
        with queries:
            answer = browser.get(LIST + query)
        counts.append(len(queries))
        assert text_of(answer).count(">resent: Delivered<") == 1
    # MariaDB reads the keys of a page that is not near the end in a statement of its own.
    more = int(connection.vendor == "mysql" and query == "?p=2")
    assert counts[0] == counts[1] - more <= 7


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"error": "InvalidSMS", "error_code": "suppressed"}, "on the do-not-send list"),
        ({"error": "InvalidSMS", "error_code": "invalid"}, "not valid"),
        ({"error": "SMSRefused", "error_code": "2011"}, "refused (2011)"),
        ({"error": "SMSUnavailable"}, "gateway not reached"),
        ({"error": "SMSUnavailable", "error_status": 503}, "gateway answered 503"),
        ({"error": "SMSUnavailable", "error_code": "settled_unsent"}, "settled as not sent"),
        ({"error": "SMSLimited", "error_code": "max_per_user"}, "limit max_per_user"),
        ({"error": "SMSOutcomeUnknown", "state": "UNKNOWN"}, "no answer"),
        (
            {"error": "SMSOutcomeUnknown", "error_status": 500, "state": "UNKNOWN"},
            "no clear answer",
        ),
        ({"error": "InsufficientCredit", "state": "QUEUED"}, "wallet too low"),
    ],
)
def test_the_list_says_why(browser, make_message, columns, said):
    make_message(**{"state": State.FAILED} | columns)
    reason = re.findall('class="smsww-reason">(.*?)<', text_of(browser.get(LIST)))[0]
    assert reason == said


@pytest.mark.parametrize(
    ("columns", "is_said"),
    [
        ({}, True),
        ({"error_code": "suspended"}, False),
        ({"state": State.FAILED}, False),
        ({"expires_at": timezone.now()}, False),
    ],
)
def test_the_list_says_when_a_worker_tries_again(browser, make_message, columns, is_said):
    soon = timezone.now().replace(second=1, microsecond=0) + timedelta(minutes=5)
    make_message(**{"error": "SMSUnavailable", "next_attempt_at": soon} | columns)
    again = f'next try: <time datetime="{(soon + timedelta(seconds=59)).isoformat()}"'
    assert (again in text_of(browser.get(LIST))) == is_said


def test_the_list_names_no_next_try_that_is_past_or_within_a_pause(browser, make_message, queries):
    late, soon = (timezone.now() + timedelta(minutes=minutes) for minutes in (-2, 5))
    for at in (late, soon):
        make_message(error="SMSUnavailable", next_attempt_at=at)
    with queries:
        assert not missing(browser.get(LIST), "next try: soon<", "next try: <time")
    before = len(queries)
    Suspension.objects.pause("default", "")
    with queries:
        assert text_of(browser.get(LIST)).count("next try: after the pause<") == 2
    assert len(queries) == before


def test_the_list_gives_no_reason_for_what_is_well(browser, make_message):
    make_message(state=State.DELIVERED)
    assert missing(browser.get(LIST), "smsww-reason")


@pytest.mark.parametrize(
    "query",
    [
        "state=LOST",
        "since=x",
        "since=0001-01-01",
        "until=9999-12-31",
        "until=2026-02-30",
        "tag=%00",
    ],
)
def test_a_choice_that_is_none_shows_no_list(browser, query):
    assert browser.get(f"{LIST}?{query}").url.endswith("?e=1")


def test_a_period_of_dates_has_its_last_day_in_it(browser, make_message):
    message = make_message()
    today = timezone.localtime(message.created_at).date().isoformat()
    assert listed(browser.get(f"{LIST}?since={today}&until={today}")) == {message.pk}


@pytest.mark.parametrize(("used", "count"), [("claimed_at", 1), ("created_at", 0)])
def test_what_waited_long_before_it_left_is_not_overdue(browser, make_message, used, count):
    """The 48 hours of the gateway begin when it gets the message."""
    long_ago = timezone.now() - timedelta(hours=49)
    columns = {"claimed_at": timezone.now(), "created_at": long_ago, used: long_ago}
    make_message(state=State.PENDING, **columns)
    assert len(listed(browser.get(f"{LIST}?attention=overdue"))) == count


def test_a_typed_filter_keeps_the_others(browser, make_message):
    make_message()
    text = text_of(browser.get(f"{LIST}?state=QUEUED&period=7&tag=%22%3Ca&p=1"))
    form = text.partition('data-filter-title="tag"')[2].partition("</form>")[0]
    assert '<input type="hidden" name="state" value="QUEUED">' in form
    assert '<input type="hidden" name="period" value="7">' in form
    assert 'value="&quot;&lt;a"' in form
    assert 'name="p"' not in form
    assert 'href="?period=7&amp;state=QUEUED"' in form


@pytest.mark.parametrize("rows", slow_unless({101, 150}.__contains__, [101, 149, 150, 151]))
def test_pages_read_from_the_end_are_the_same(browser, make_message, rows):
    keys = [make_message().pk for _ in range(rows)][::-1]
    for number in range(1, 5):
        page = keys[50 * (number - 1) : 50 * number]
        if page:
            result = browser.get(f"{LIST}?p={number}").context["cl"].result_list
            assert [row.pk for row in result] == page


def test_the_last_page_is_read_from_the_end(browser, make_message, queries):
    for _ in range(101):
        make_message()
    with queries:
        browser.get(f"{LIST}?p=3")
    quoted = connection.ops.quote_name("recipient")
    [page] = [query["sql"] for query in queries if quoted in query["sql"]]
    assert "OFFSET" not in page
    assert "LIMIT 1" in page


def test_only_keys_are_read_of_the_rows_before_a_page(browser, make_message, queries):
    """Subqueries for columns of the page would run for each row that OFFSET leaves out."""
    for _ in range(201):
        make_message()
    with queries:
        browser.get(f"{LIST}?p=2")
    [skipping] = [query["sql"] for query in queries if "OFFSET" in query["sql"]]
    keys = skipping.replace("`", '"').rpartition("SELECT")[2].partition(" FROM")[0]
    assert re.fullmatch(r' \S*"id"( AS "pk")?', keys)


@pytest.mark.parametrize("use_tz", [True, False])
def test_a_period_begins_at_midnight(settings, use_tz):
    settings.USE_TZ = use_tz
    start = start_of_day(7)
    assert (start.hour, start.minute, timezone.is_aware(start)) == (0, 0, use_tz)
    assert timedelta(days=7) <= timezone.now() - start < timedelta(days=8, hours=2)


# Search


@pytest.mark.parametrize(
    "typed",
    [
        NUMBER,
        "+39 333 123-4567",
        "0039 333.1234567",
        "39333",
        "+39333",
        "+3",
        "  393331234567 ",
        "333 123 4567",
        "(0) 333/123.4567",
        "234567",
        "4567",
        str(ID),
        "6f1d0a52",
        "6F1D0A52-00",
        "6f1d0a5200",
        "prov-1",
        "order 7",
    ],
)
def test_a_message_is_found(browser, make_message, typed):
    message = make_message(provider_id="prov-1", key="order 7", reference=ID)
    make_message(recipient="+49600000000")
    assert listed(browser.get(LIST, {"q": typed})) == {message.pk}


@pytest.mark.parametrize(
    "typed",
    ["Hello", "+3331234567", "567", "33312", "prov", "order", "+", "%", "+44", "6f1d0a5", "\x00"],
)
def test_what_is_not_a_beginning_of_a_number_or_a_whole_name_finds_nothing(
    browser, make_message, typed
):
    make_message(provider_id="prov-1", key="order 7", reference=ID)
    found = listed(browser.get(LIST, {"q": typed}))
    assert found == set() or typed == "\x00"  # which the admin's own form refuses


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("+39", {"+390", "+399", "+3999", "+39333999999"}),
        ("+399", {"+399", "+3999"}),
        ("+9", {"+9", "+99"}),
        ("+99", {"+99"}),
        *((nines, {"+39333999999"}) for nines in ("9999", "09999", "99 999")),
    ],
)
def test_a_prefix_ends_where_it_should(browser, make_message, typed, found):
    for number in ("+38", "+390", "+399", "+3999", "+4", "+40", "+9", "+99", "+39333999999"):
        make_message(recipient=number)
    rows = browser.get(LIST, {"q": typed}).context["cl"].result_list
    assert {row.recipient for row in rows} == found


def test_what_nearly_all_numbers_begin_with_finds_them_all(browser, make_message, monkeypatch):
    monkeypatch.setattr(search, "MOST_LISTED", 3)
    found = {make_message(recipient=f"+39333{n:07}").pk for n in range(5)}
    make_message(recipient="+49600000000")
    for typed in ("+39", "0039 33", "39"):
        assert listed(browser.get(LIST, {"q": typed})) == found


@pytest.mark.parametrize("most", [3, 5])
@pytest.mark.parametrize("query", [NUMBER, "+39", "39", "4567", "order 7", "hell&period=7"])
def test_a_search_reads_messages_twice(browser, make_message, monkeypatch, query, most, queries):
    for module in (search, history):
        monkeypatch.setattr(module, "MOST_LISTED", most)
    for _ in range(4):
        make_message()
    with queries:
        page = browser.get(f"{LIST}?q={query.replace('+', '%2B')}").context["cl"]
    table = connection.ops.quote_name("django_smsww_message")
    assert sum(f"FROM {table}" in query["sql"] for query in queries) == 2
    assert page.result_count == (0 if "order" in query else min(most, 4))


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("q=HELL", 0),
        ("q=hell&period=7", 1),
        ("q=hello%20world&period=7", 0),
        ("q=%25&period=7", 0),
        ("q=hell&period=7&state=FAILED", 0),
        ("q=hell&until=9998-01-01", 0),
        ("q=hell&since=2001-01-01", 0),
        ("q=hell&since={today}", 1),
        ("q=hell&since={today}&until=9998-01-01", 0),
        ("q=hell&since={today}&until={today}", 1),
    ],
)
def test_a_text_is_found_within_a_short_period(browser, make_message, query, count):
    today = timezone.localtime(make_message().created_at).date()
    assert len(listed(browser.get(f"{LIST}?{query.format(today=today)}"))) == count


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("q=world", "needs a period of up to 31 days"),
        ("q=world&since=2001-01-01", "needs a period of up to 31 days"),
        ("q=hell&period=7", None),
        ("q=world&period=7", None),
        ("q=4567", None),
        ("", None),
    ],
)
def test_a_search_for_a_text_says_that_it_needs_a_period(browser, make_message, query, said):
    make_message()
    answer = browser.get(f"{LIST}?{query}")
    assert bool(missing(answer, "smsww-search-note", said or "")) is (said is None)


def test_one_click_chooses_the_period_of_a_search(browser, make_message):
    make_message()
    answer = browser.get(f"{LIST}?q=hell&since=2001-01-01&tag=")
    [link] = re.findall('smsww-search-note.*?href="(.*?)"', text_of(answer), re.DOTALL)
    assert html.unescape(link) == "?period=30&q=hell&tag="
    assert len(listed(browser.get(LIST + html.unescape(link)))) == 1


@pytest.mark.parametrize("typed", ["0916", "00820916", "820916", "0820916", "08 209-16"])
def test_last_digits_may_begin_with_a_zero(browser, make_message, typed):
    message = make_message(recipient="+393300820916")
    make_message(recipient="+393300821111")
    assert listed(browser.get(LIST, {"q": typed})) == {message.pk}


def test_who_may_not_see_numbers_is_told_what_a_search_finds(make_message):
    message = make_message()
    browser = browser_of(staff("view_message"))
    assert not missing(
        browser.get(f"{LIST}?q=4567"), "You have no permission to see numbers and texts"
    )
    assert missing(browser.get(LIST), "its last digits", "a complete number") == ["its last digits"]
    for typed in (NUMBER, str(message.reference)[:8]):
        answer = browser.get(LIST, {"q": typed})
        assert listed(answer) == {message.pk}
        assert missing(answer, "smsww-search-note")


def test_a_forgotten_number_is_found_by_no_digit(browser, make_message):
    message = make_message(state=State.DELIVERED, finished_at=timezone.now() - timedelta(days=2))
    list(privacy.scrub("default", timezone.now()))
    message.refresh_from_db()
    assert message.recipient_reversed == ""
    assert listed(browser.get(LIST, {"q": "4567"})) == set()


@pytest.mark.skipif(connection.vendor != "sqlite", reason="reads the plans of SQLite")
@pytest.mark.parametrize(
    "query",
    [
        {"q": NUMBER},
        {"q": "+39"},
        {"q": "333 123 4567"},
        {"q": "order 7"},
        {"q": str(uuid4())},
        {"q": "6f1d0a52"},
        {"q": "text", "period": "7"},
        {"tag": "otp"},
        {"batch": str(uuid4())},
        {"dry_run": "yes"},
        {"origin": "elsewhere"},
        {"attention": "yes"},
    ],
)
def test_no_search_reads_the_whole_table(browser, make_message, query, queries):
    make_message()
    with queries:
        browser.get(LIST, query)
    searches = [query["sql"] for query in queries if 'FROM "django_smsww_message"' in query["sql"]]
    assert searches
    for sql in searches:
        plan = reads(sql, "django_smsww_message")
        assert plan
        # The index of dry runs holds nothing else: all of it is what is asked for.
        assert {each.index for each in plan if each.verb == "SCAN"} <= {"smsww_message_dry"}


def test_a_blocklisted_message_is_marked_in_the_list_and_on_its_page(browser, make_message):
    message = make_message(state=State.NEW, blocklisted=True)
    assert not missing(browser.get(LIST), "smsww-warn", "blocklisted")
    said = "The gateway has it. A callback will tell what became of it. The gateway found forbidden"
    assert not missing(browser.get(page(message)), said)


def test_a_message_from_elsewhere_is_shown_as_such_without_a_number(browser, make_message):
    make_message(origin="elsewhere", recipient="+39…", body="", scrubbed=True, state="DELIVERED")
    page = text_of(browser.get(LIST))
    for text in ("Elsewhere", "+39…", "not stored"):
        assert text in page


def test_a_message_from_elsewhere_is_never_overdue(browser, make_message):
    long_ago = timezone.now() - timedelta(days=9)
    make_message(origin="elsewhere", state=State.NEW, created_at=long_ago)
    assert listed(browser.get(f"{LIST}?attention=overdue")) == set()


@pytest.mark.parametrize(
    ("query", "is_found"), [("+39", True), ("+39333", False), ("4567", False), (NUMBER, False)]
)
def test_a_row_without_a_number_is_found_by_its_prefix_alone(
    browser, make_message, query, is_found
):
    make_message(origin="elsewhere", recipient="+39…", body="", scrubbed=True, state="DELIVERED")
    assert bool(listed(browser.get(LIST, {"q": query}))) is is_found
