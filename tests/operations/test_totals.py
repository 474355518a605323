"""Days are summed once and cached, and changes have them summed again."""

import random
from collections import defaultdict
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import count

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_smsww import State
from django_smsww.clock import day_of
from django_smsww.models import DailyTotal, Message
from django_smsww.operations import retention, totals
from django_smsww.operations.days import Day, Sums, sum_up
from django_smsww.operations.totals import read_days
from django_smsww.sms import SendResult
from django_smsww.states import UNFINISHED, Cause

from ..support.sampling import slow_unless

DAY = date(2030, 3, 31)  # it has 23 hours in Rome
FIRST, LAST = DAY - timedelta(days=2), DAY + timedelta(days=2)
pytestmark = pytest.mark.django_db


class Clock:
    """The time that `timezone.now()` returns."""

    def __init__(self):
        self.now = timezone.make_aware(datetime(2030, 4, 10, 12))

    def __call__(self):
        return self.now

    def forward(self, **time):
        self.now += timedelta(**time)


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(timezone, "now", clock)
    return clock


@pytest.fixture
def message(make_message, clock):
    """A message of a day ten days ago."""
    begun = timezone.make_aware(datetime(2030, 3, 31, 12))
    return make_message(
        state=State.PENDING,
        country="IT",
        tag="otp",
        segments=2,
        total_price=Decimal("0.138"),
        created_at=begun,
        claimed_at=begun,
        updated_at=begun,
    )


def summed(function):
    """Return how many of its queries sum rows."""
    with CaptureQueriesContext(connection) as queries:
        function()
    return sum("SUM(" in query["sql"] and "smsww_message" in query["sql"] for query in queries)


def states(day=DAY, first=FIRST, last=LAST):
    sums = read_days(first, last).days[day].sums["state"]
    return {state: one.messages for state, one in sums.items() if one.messages}


def cached_days():
    return list(DailyTotal.objects.days().order_by("day").values_list("day", flat=True))


def test_cached_days_read_no_rows(message):
    read = read_days(FIRST, LAST)
    assert len(cached_days()) == len(read.days) == 5
    assert read.by("tag")["otp"].cost == Decimal("0.138")
    assert summed(lambda: read_days(FIRST, LAST)) == 0
    assert read_days(FIRST, LAST).days == read.days
    assert summed(lambda: read_days(FIRST, LAST + timedelta(days=1))) == 1


def test_a_late_callback_has_its_day_alone_summed_again(message, clock):
    assert states() == {"PENDING": 1}
    clock.forward(minutes=1)
    rows = Message.objects.filter(pk=message.pk)
    rows.advance(State.DELIVERED, Cause.EVIDENCE, delivered_at=clock.now)
    assert summed(states) == 1
    assert states() == {"DELIVERED": 1}
    assert read_days(FIRST, LAST).days[DAY].times.sample == 1


def test_a_late_price_shows_after_an_hour_for_each_day_since_the_end(message, clock):
    Message.objects.filter(pk=message.pk).advance(State.DELIVERED, Cause.EVIDENCE)
    states()  # nine days and a half after the end
    Message.objects.filter(pk=message.pk).update(total_price=7)
    clock.forward(hours=9.5)
    assert read_days(FIRST, LAST).by("country")["IT"].cost == Decimal("0.138")
    clock.forward(seconds=1)
    assert read_days(FIRST, LAST).by("country")["IT"].cost == 7


@pytest.mark.parametrize("moment", range(7))
def test_pruning_between_any_two_statements_changes_no_sum(message, make_message, clock, moment):
    def prune():
        return sum(retention.delete("default", clock.now))

    def prune_before(execute, *args):
        if next(statements) == moment:
            prune()
        return execute(*args)

    statements = count()
    columns = {"created_at": message.created_at, "state": "DELIVERED", "finished_at": clock.now}
    make_message(**columns)
    clock.forward(days=1)
    assert prune() == 1
    make_message(**columns)
    clock.forward(days=1)

    with connection.execute_wrapper(prune_before):
        assert states(last=DAY, first=DAY) == {"PENDING": 1, "DELIVERED": 2}
    assert Message.objects.get() == message
    assert states() == {"PENDING": 1, "DELIVERED": 2}
    DailyTotal.objects.days().delete()
    assert states() == {"PENDING": 1, "DELIVERED": 2}


def test_an_older_sum_does_not_replace_the_newer_one_of_another_host(message, clock):
    older = sum_up(DAY, "default", clock.now)
    Message.objects.filter(pk=message.pk).advance(State.DELIVERED, Cause.EVIDENCE)
    clock.forward(seconds=1)
    assert states() == {"DELIVERED": 1}
    DailyTotal.objects.cache(DAY, older.as_json(), older.as_of)
    assert list(Day.cached(DailyTotal.objects.get(day=DAY)).sums["state"]) == ["DELIVERED"]


class History:
    """Every message that ever was, and the sums that the page has to show of them."""

    def __init__(self, seed, make_message, clock):
        self.chosen, self.make_message, self.clock = random.Random(seed), make_message, clock
        self.messages = {}

    def note(self):
        names = ("created_at", "state", "country", "segments", "total_price", "dry_run")
        for row in Message.objects.values("pk", *names):
            self.messages[row["pk"]] = row

    def expected(self):
        self.note()
        sums = defaultdict(Sums)
        for row in self.messages.values():
            if not row["dry_run"]:
                key = (day_of(row["created_at"]), row["state"])
                one = Sums(1, row["segments"], row["total_price"] or Decimal(0))
                sums[key] = Sums.of((sums[key], one))
        return sums

    def shown(self):
        read = read_days(day_of(self.clock.now) - timedelta(days=20), day_of(self.clock.now))
        assert len(read.days) == 21
        return {
            (day, state): sums
            for day, figures in read.days.items()
            for state, sums in figures.sums["state"].items()
            if sums.messages
        }

    def send(self):
        self.make_message(
            created_at=self.clock.now,
            state=self.chosen.choice(("QUEUED", "NEW", "PENDING")),
            segments=self.chosen.randrange(1, 4),
            country=self.chosen.choice(("IT", "FR", "")),
            dry_run=self.chosen.random() < 0.1,
        )

    def hear(self):
        rows = Message.objects.filter(state__in=(*UNFINISHED, "DELIVERED"))
        if keys := sorted(rows.values_list("pk", flat=True)):
            rows = Message.objects.filter(pk=self.chosen.choice(keys))
            word = self.chosen.choice(("PENDING", "DELIVERED", "EXPIRED"))
            price = self.chosen.choice((Decimal(0), Decimal("0.069"), Decimal("0.138")))
            rows.accept(SendResult(state=word, total_price=price), Cause.EVIDENCE)

    def prune(self):
        self.note()
        before = self.clock.now - timedelta(days=self.chosen.randrange(1, 3))
        list(retention.delete("default", before, batch_size=2))

    def wait(self):
        self.clock.forward(minutes=self.chosen.randrange(1, 1200))


@pytest.mark.parametrize("seed", slow_unless(lambda seed: seed == 0, range(5)))
def test_after_any_sequence_the_sums_are_those_of_all_messages(make_message, clock, seed):
    history = History(seed, make_message, clock)
    acts = [history.send, history.hear, history.prune, history.wait]
    for _ in range(25):
        history.chosen.choices(acts, (4, 5, 1, 2))[0]()
        shown, expected = history.shown(), history.expected()
        assert {key: sums[:2] for key, sums in shown.items()} == {
            key: sums[:2] for key, sums in expected.items()
        }
    clock.forward(days=3)
    history.prune()
    assert DailyTotal.objects.groups().exists()
    assert history.shown() == history.expected()
    DailyTotal.objects.days().delete()
    assert history.shown() == history.expected()


def test_the_day_that_runs_is_not_cached(make_message, clock):
    make_message(created_at=clock.now)
    today = day_of(clock.now)
    assert read_days(today, today).days[today].total().messages == 1
    assert not DailyTotal.objects.exists()


def test_a_big_day_that_runs_is_summed_once_a_minute(make_message, clock, monkeypatch):
    monkeypatch.setattr(totals, "MANY_MESSAGES", 0)
    today = day_of(clock.now)
    counts = []
    for _ in range(3):
        make_message(created_at=clock.now)
        counts.append(read_days(today, today).days[today].total().messages)
        clock.forward(seconds=30)
    assert counts == [1, 1, 3]


def test_a_big_day_that_runs_is_summed_even_if_time_is_over(make_message, clock, monkeypatch):
    monkeypatch.setattr(totals, "MANY_MESSAGES", 0)
    today = day_of(clock.now)
    make_message(created_at=clock.now)
    read_days(FIRST, today)
    clock.forward(hours=11)
    make_message(created_at=clock.now)
    assert read_days(FIRST, today, seconds=0).days[today].total().messages == 2


def test_another_time_zone_has_other_days(message, settings):
    Message.objects.update(state=State.DELIVERED)
    states()
    settings.TIME_ZONE = "Pacific/Kiritimati"  # noon in Rome is midnight there
    assert states() == {}
    assert states(DAY + timedelta(days=1)) == {"DELIVERED": 1}


def test_the_zone_of_the_user_changes_no_day(message):
    with timezone.override("Pacific/Kiritimati"):
        assert states() == {"PENDING": 1}


@pytest.mark.parametrize("was_cached", [True, False])
def test_sums_that_cannot_be_cached_are_read_again(message, monkeypatch, was_cached):
    def refuse(*args):
        raise DatabaseError("cannot execute INSERT in a read-only transaction")

    if was_cached:
        states()
        Message.objects.update(state=State.UNKNOWN)
    monkeypatch.setattr("django_smsww.models.totals.DailyTotalQuerySet.cache", refuse)
    with transaction.atomic():
        assert states() == states() == {"UNKNOWN" if was_cached else "PENDING": 1}
    assert len(read_days(FIRST, LAST, seconds=0).days) == 5


def test_a_call_without_time_gets_further_each_time(message):
    assert [len(read_days(FIRST, LAST, seconds=0).days) for _ in range(5)] == [1, 2, 3, 4, 5]
    assert states() == {"PENDING": 1}


def test_days_that_change_all_the_time_hold_up_no_other(message, clock):
    for done, state in enumerate((*UNFINISHED,), start=1):
        Message.objects.update(state=state)
        assert len(read_days(DAY, LAST + timedelta(days=2), seconds=0).days) == done


def test_a_call_without_time_shows_a_changed_day_as_it_was(message, clock):
    read_days(FIRST, LAST)
    Message.objects.update(state=State.DELIVERED)
    read = read_days(FIRST, LAST + timedelta(days=1), seconds=0)
    assert (len(read.days), read.days[DAY].sums["state"]["PENDING"].messages) == (6, 1)
    assert states() == {"DELIVERED": 1}


def test_days_that_have_not_ended_are_summed_without_time(message, clock):
    today = day_of(clock.now)
    assert len(read_days(today, today + timedelta(days=2), seconds=0).days) == 3


def test_the_sync_keeps_up(request, clock):
    call_command("smsww_sync", "--using", "default")
    assert not DailyTotal.objects.exists()  # without messages
    request.getfixturevalue("message")
    call_command("smsww_sync", "--using", "default")
    assert cached_days() == [DAY + timedelta(days=n) for n in range(10)]
    assert summed(states) == 2  # the days before the first message


def test_days_of_a_project_without_time_zones(make_message, settings):
    settings.USE_TZ = False
    begun = datetime(2020, 3, 31, 23, 59)
    make_message(created_at=begun, updated_at=begun, expires_at=begun)
    for _ in range(2):
        read = read_days(date(2020, 3, 30), date(2020, 4, 1))
        assert [figures.total().messages for figures in read.days.values()] == [0, 1, 0]
    assert len(cached_days()) == 3
