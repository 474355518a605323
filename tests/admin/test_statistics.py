"""The page of statistics: the right sums, drawn without a script and without colours alone."""

import re
from datetime import date, datetime, timedelta
from decimal import Decimal
from xml.etree import ElementTree as ET

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.html import escape

from django_smsww import State
from django_smsww.admin.statistics import views as statistics
from django_smsww.admin.statistics.figures import GROUPS, delivery_rate
from django_smsww.admin.statistics.plots import (
    HEIGHT,
    WIDTH,
    Plot,
    Series,
    lines,
    nice_step,
    stacked,
)
from django_smsww.clock import day_of
from django_smsww.models import DailyTotal
from django_smsww.operations import days
from django_smsww.operations.days import Sums
from django_smsww.operations.totals import read_days

from ..support.people import LIST, browser_of, listed, missing, staff, text_of

PAGE = reverse("admin:django_smsww_message_statistics")
FIRST, LAST = date(2030, 3, 29), date(2030, 4, 2)
DAYS = f"{PAGE}?since={FIRST}&until={LAST}"
EVIL = "<script>alert(1)</script>\"'\u202e"
pytestmark = pytest.mark.django_db


def noon(day):
    return timezone.make_aware(datetime(day.year, day.month, day.day, 12))


def midnight(day):
    return timezone.make_aware(datetime(day.year, day.month, day.day))


@pytest.fixture(autouse=True)
def seconds(monkeypatch):
    """Show the whole page at once, on a busy machine too."""
    monkeypatch.setattr(statistics, "SECONDS", 3600)


@pytest.fixture
def browser(db):
    return browser_of(staff("view_message", "view_message_costs"))


@pytest.fixture
def history(make_message):
    """Five days with messages of every kind; the clocks change within them."""
    for number, state in enumerate(State):
        day = FIRST + timedelta(days=number % 5)
        make_message(
            state=state,
            created_at=noon(day),
            finished_at=noon(day),
            segments=number,
            country=("IT", "FR", "")[number % 3],
            tag=("otp", "")[number % 2],
            alias=("default", "other")[number % 2],
            total_price=Decimal("0.07") * number,
            penalty=Decimal(1) if state == State.REJECTED else None,
            delivered_at=noon(day) + timedelta(seconds=90) if state == "DELIVERED" else None,
        )
    make_message(state=State.VALIDATED, dry_run=True, created_at=noon(FIRST), segments=99)


@pytest.fixture
def settled(monkeypatch):
    """All days are over."""
    long_after = timezone.now() + timedelta(days=5000)
    monkeypatch.setattr(timezone, "now", lambda: long_after)


def counted(read):
    return [figures.total().messages for figures in read.days.values()]


def test_every_state_is_in_one_group():
    states = [state for _label, states in GROUPS.values() for state in states]
    assert sorted(states) == sorted(State)


def test_the_sums_are_those_of_the_rows(history):
    read = read_days(FIRST, LAST)
    assert counted(read) == [3, 3, 2, 2, 2]
    whole = Sums.of(read.by("state").values())
    assert whole == (12, sum(range(12)), Decimal("0.07") * sum(range(12)), 1)
    countries = {name: one.messages for name, one in read.by("country").items()}
    assert countries == {"IT": 4, "FR": 4, "": 4}
    assert read.by("tag")["otp"].messages == read.by("alias")["default"].messages == 6


def test_a_day_begins_and_ends_at_midnight(make_message):
    """The last Sunday of March has 23 hours in Rome."""
    summer = date(2030, 3, 31)
    for at in (midnight(summer), midnight(summer + timedelta(days=1)) - timedelta(microseconds=1)):
        make_message(created_at=at)
    make_message(created_at=midnight(summer) - timedelta(microseconds=1))
    make_message(created_at=midnight(summer + timedelta(days=1)))
    assert counted(read_days(FIRST, LAST)) == [0, 1, 2, 1, 0]
    assert counted(read_days(summer, summer)) == [2]


def test_the_rate_is_that_of_what_has_ended(make_message):
    for state in (State.DELIVERED, State.DELIVERED, State.EXPIRED, State.FAILED, State.PENDING):
        make_message(state=state, created_at=noon(FIRST))
    read = read_days(FIRST, LAST)
    assert delivery_rate(read.days[FIRST]) == pytest.approx(200 / 3, abs=0.1)
    assert delivery_rate(read.days[LAST]) is None


@pytest.mark.parametrize(
    ("count", "median", "slow"), [(1, 1, 1), (2, 1, 2), (4, 2, 4), (100, 50, 95)]
)
def test_times_are_ranked(make_message, count, median, slow):
    for seconds in range(1, count + 1):
        make_message(
            state=State.DELIVERED,
            created_at=noon(FIRST) - timedelta(hours=1),
            claimed_at=noon(FIRST),
            delivered_at=noon(FIRST) + timedelta(seconds=seconds),
        )
    times = read_days(FIRST, LAST).days[FIRST].times
    assert (times.median, times.slow, times.sample) == (median, slow, count)


def test_of_many_deliveries_some_are_looked_at(make_message, monkeypatch, browser):
    monkeypatch.setattr(days, "SAMPLE", 10)
    for _ in range(35):
        made = {"created_at": noon(FIRST), "delivered_at": noon(FIRST) + timedelta(seconds=5)}
        make_message(state=State.DELIVERED, **made)
    times = read_days(FIRST, LAST).days[FIRST].times
    assert times.thinned == 4
    assert 8 <= times.sample <= 9
    assert "A sample: one in 4 deliveries." in text_of(browser.get(DAYS))


# The page


def test_a_page_that_takes_long_says_how_far_it_is_and_asks_for_itself_again(
    settled, browser, history, monkeypatch
):
    monkeypatch.setattr(statistics, "SECONDS", 0)
    for done in range(1, 5):
        page = text_of(browser.get(DAYS))
        assert f"for the first time: {done} of 5 are done." in page
        assert '<meta http-equiv="refresh" content="0">' in page
        assert "Messages" not in page.partition("smsww-statistics")[2].partition("</main>")[0]
    page = text_of(browser.get(DAYS))
    assert "Messages: 12." in page
    assert "refresh" not in page


def test_the_page_takes_as_many_queries_for_any_period(settled, browser, history):
    counts = []
    for query in ("?since=2030-04-01&until=2030-04-01", "?since=2030-02-01&until=2030-04-30"):
        browser.get(PAGE + query)
        with CaptureQueriesContext(connection) as queries:
            assert browser.get(PAGE + query).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 6


def test_the_numbers_stand_below_each_plot(browser, history):
    text = text_of(browser.get(DAYS))
    for title in (
        "Messages per day",
        "Segments per day",
        "Delivery rate",
        "Time to delivery",
        "Cost and penalties per day",
        "By country",
        "By tag",
        "By alias",
    ):
        assert title in text
    assert "Messages: 12." in text
    assert "Segments: 66." in text
    assert "4.62 EUR" in text
    assert "1 min 30 s" in text
    assert text.count("<details") == 5


def test_only_prices_of_past_days_may_be_missing(history, monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: noon(LAST))
    browser = browser_of(staff("view_message", "view_message_costs"))
    late = "If a price of a past day arrived after"
    assert not missing(browser.get(DAYS), "Cost:", late)
    assert missing(browser.get(f"{PAGE}?since={LAST}&until={LAST}"), "Cost:", late) == [late]


def test_links_at_the_top_lead_to_the_plots_and_to_each_table(browser, history):
    text = text_of(browser.get(DAYS))
    [jumps] = re.findall('<nav aria-label="On this page">.*?</nav>', text)
    links = re.findall('<a href="#([^"]*)">(.*?)</a>', jumps)
    assert [name for _, name in links] == ["By day", "By country", "By tag", "By alias"]
    for anchor, name in links:
        title = text.partition(f'id="{anchor}">')[2].partition("<h2>")[2].partition("</h2>")[0]
        assert title == {"By day": "Messages per day"}.get(name, name)


def test_the_tables_name_what_has_no_country_and_no_tag(browser, history):
    lines = {rank["title"]: rank["lines"] for rank in browser.get(DAYS).context["ranks"]}
    names = [line["name"] for title in ("By country", "By tag") for line in lines[title]]
    assert names == ["not known, or not sent", "FR", "IT", "none", "otp"]


def test_a_sentence_that_ends_in_a_time_ends_in_one_full_stop(settled, browser, history):
    assert missing(browser.get(DAYS), "m..") == ["m.."]


def test_without_the_permission_no_cost_is_on_the_page(history):
    text = text_of(browser_of(staff("view_message", "view_message_content")).get(DAYS))
    assert "EUR" not in text
    assert "Penalties" not in text
    assert "Messages: 12." in text


def test_who_may_not_see_messages_sees_no_statistics(history):
    client = browser_of(staff("view_callback", "view_message_costs", "export_message"))
    assert client.get(DAYS).status_code == 403
    assert client.post(DAYS).status_code == 403


def test_hostile_names_are_escaped(browser, make_message):
    make_message(created_at=noon(FIRST), tag=EVIL, alias=EVIL, country="<b")
    text = text_of(browser.get(DAYS))
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text
    assert "<b<" not in text


@pytest.mark.parametrize("language", ["en", "de", "it"])
def test_each_picture_is_well_formed_and_has_a_name(browser, history, language):
    """Also where numbers have a comma, which no coordinate may have."""
    with translation.override(language):
        text = text_of(browser.get(DAYS))
    text = text.partition("smsww-statistics")[2].partition("</main>")[0]
    assert ("4,62 EUR" in text) == (language != "en")
    pictures = text.split("<svg")[1:]
    assert len(pictures) > 10
    for picture in pictures:
        tree = ET.fromstring("<svg" + picture.partition("</svg>")[0] + "</svg>")
        assert tree.get("role") == "img" or tree.get("aria-hidden") == "true"
        assert (tree.get("role") != "img") or tree.get("aria-label")
        for each in tree.iter():
            for name in ("x", "y", "width", "height", "cx", "cy"):
                float(each.get(name, "0"))


def test_the_page_has_no_script_or_style_of_its_own(browser, history):
    text = text_of(browser.get(DAYS))
    for inline in ("<style", " style=", " onclick=", "<script>"):
        assert inline not in text
    assert "django_smsww/statistics.css" in text


@pytest.mark.parametrize(
    "query",
    [
        "since=x",
        "since=2030-02-30",
        "since=2030-04-02&until=2030-04-01",
        "since=2029-01-01&until=2030-01-02",
        "since=0001-01-01&until=0001-01-02",
        "until=9999-12-31",
        "since=9999-12-31",
        "until=0001-01-01",
    ],
)
def test_what_is_no_period_is_said_to_be_none(browser, query, monkeypatch):
    monkeypatch.setattr("django_smsww.admin.statistics.views.USUAL_DAYS", 2)
    answer = browser.get(f"{PAGE}?{query}")
    assert answer.status_code == 200
    assert "errornote" in text_of(answer)


def test_without_a_period_it_is_the_past_thirty_days(browser, make_message):
    make_message(created_at=timezone.now() - timedelta(days=31))
    make_message()
    answer = browser.get(PAGE)
    assert len(answer.context["plots"][0].labels) == 30
    assert "errornote" not in text_of(answer)
    assert "Messages: 1." in text_of(answer)
    assert 'value="2' in text_of(answer)


# The geometry


def plot(*values):
    series = [Series(str(number), f"S{number}", column) for number, column in enumerate(values)]
    labels = [f"D{number}" for number in range(len(values[0]))]
    return Plot("Title", series, labels, lambda value: f"{value:g}")


def test_bars_stand_one_upon_the_other():
    drawn = stacked(plot([10, 0], [30, 5]))
    lower, upper, alone = drawn.marks
    assert upper.y + upper.height == pytest.approx(lower.y, abs=0.2)
    assert upper.height == pytest.approx(3 * lower.height, abs=0.5)
    assert lower.y + lower.height == pytest.approx(alone.y + alone.height, abs=0.2)
    assert upper.title == "D0: S1: 30"
    for mark in drawn.marks:
        assert 0 <= mark.x <= WIDTH - mark.width
        assert 0 <= mark.y <= HEIGHT - mark.height


def test_a_line_is_broken_where_there_is_no_value():
    drawn = lines(plot([1, None, 3, 4]))
    [(name, path)] = drawn.paths
    assert (name, path.count("M"), path.count("L")) == ("0", 2, 1)
    assert len(drawn.marks) == 3


@pytest.mark.parametrize(
    ("highest", "step"), [(0, 1), (3, 1), (4, 1), (5, 2), (9, 5), (37, 10), (0.3, 0.1), (1e6, 5e5)]
)
def test_axes_have_round_numbers(highest, step):
    assert nice_step(highest) == pytest.approx(step)


@pytest.mark.parametrize("values", [[], [0, 0], [None], [1e9], [0.000001]])
def test_any_values_can_be_drawn(values):
    for draw in (stacked, lines):
        drawn = draw(plot(values))
        assert drawn.up
        assert drawn.is_empty == (not any(values))


def test_a_long_period_has_few_labels():
    assert len(stacked(plot([1] * 92)).across) <= 10


def test_messages_from_elsewhere_count_and_are_told_apart(browser, make_message):
    make_message(state=State.DELIVERED, created_at=noon(FIRST))
    assert "By origin" not in text_of(browser.get(DAYS))
    make_message(state=State.DELIVERED, created_at=noon(FIRST), origin="elsewhere")
    DailyTotal.objects.days().delete()
    text = text_of(browser.get(DAYS))
    assert "Messages: 2." in text
    assert "By origin" in text
    assert {n: one.messages for n, one in read_days(FIRST, LAST).by("origin").items()} == {
        "here": 1,
        "elsewhere": 1,
    }


def test_a_tag_leads_to_its_messages_of_the_period(browser, make_message):
    made = [make_message(tag=tag, country="IT") for tag in ("a&b", "other")]
    day = day_of(timezone.now())
    answer = browser.get(PAGE, {"since": day, "until": day})
    link = f"since={day}&until={day}&tag=a%26b"
    assert not missing(answer, escape(link), f"{escape(f'since={day}&until={day}')}&amp;country=IT")
    assert listed(browser.get(f"{LIST}?{link}")) == {made[0].pk}
