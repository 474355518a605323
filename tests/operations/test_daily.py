"""Days are added up once and kept, and what changes them has them added up again."""

from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_smsww import State
from django_smsww.daily import day_of, kept, read_days
from django_smsww.models import DailyTotal, DaySummary, Message
from django_smsww.operations import retention as privacy
from django_smsww.states import Cause

DAY = date(2030, 3, 31)  # it has 23 hours in Rome
FIRST, LAST = DAY - timedelta(days=2), DAY + timedelta(days=2)
pytestmark = pytest.mark.django_db


class Clock:
    """What `timezone.now()` says, until it is put forward."""

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
    """A message of the day that nobody has heard of for a week."""
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


def rows_read(function):
    """Return how many queries of it add rows up."""
    with CaptureQueriesContext(connection) as queries:
        function()
    return sum("SUM(" in query["sql"] and "smsww_message" in query["sql"] for query in queries)


def states(day=DAY):
    read = read_days(FIRST, LAST)[day]
    return {state: one.messages for state, one in read.groups["state"].items() if one.messages}


def test_what_was_kept_is_what_was_read(message):
    read = read_days(FIRST, LAST)
    assert DaySummary.objects.count() == len(read) == 5
    assert read_days(FIRST, LAST) == read
    assert read[DAY].groups["tag"]["otp"].cost == Decimal("0.138")


def test_kept_days_read_no_rows(message):
    assert rows_read(lambda: read_days(FIRST, LAST)) == 5
    assert rows_read(lambda: read_days(FIRST, LAST)) == 0
    assert rows_read(lambda: read_days(FIRST, LAST + timedelta(days=1))) == 1


def test_a_late_callback_changes_a_kept_day(message, clock):
    assert states() == {"PENDING": 1}
    clock.forward(days=3)
    rows = Message.objects.filter(pk=message.pk)
    rows.advance(State.DELIVERED, Cause.EVIDENCE, delivered_at=clock.now)
    assert states() == {"DELIVERED": 1}
    assert read_days(FIRST, LAST)[DAY].times.count == 1


def test_only_the_day_that_changed_is_read_again(message, clock):
    states()
    clock.forward(days=3)
    Message.objects.filter(pk=message.pk).advance(State.DELIVERED, Cause.EVIDENCE)
    assert rows_read(states) == 1


def test_a_change_that_is_committed_late_is_not_missed(message, clock):
    """It was written before the day was added up, and could not be seen yet."""
    before = clock.now - kept.MARGIN + timedelta(seconds=1)
    states()
    Message.objects.filter(pk=message.pk).update(total_price=7, updated_at=before)
    assert read_days(FIRST, LAST)[DAY].groups["country"]["IT"].cost == 7


def test_a_message_of_an_old_day_that_is_new_counts(message, make_message, clock):
    states()
    make_message(created_at=message.created_at, state=State.FAILED, updated_at=clock.now)
    assert states() == {"PENDING": 1, "FAILED": 1}


def test_pruning_changes_no_kept_sum(message, clock):
    Message.objects.filter(pk=message.pk).advance(State.DELIVERED, Cause.EVIDENCE)
    clock.forward(days=1)
    before = read_days(FIRST, LAST)
    clock.forward(days=1)
    assert list(privacy.delete("default", clock.now)) == [1]
    assert DailyTotal.objects.exists()
    assert [day.groups for day in read_days(FIRST, LAST).values()] == [
        day.groups for day in before.values()
    ]


def test_confirmed_days_are_asked_about_from_then_on(message, clock):
    states()
    clock.forward(days=30)
    assert rows_read(states) == 0
    assert {row.as_of for row in DaySummary.objects.all()} == {clock.now}


def test_the_day_that_runs_is_not_kept(make_message, clock):
    make_message(created_at=clock.now, updated_at=clock.now)
    today = day_of(clock.now)
    assert read_days(today, today)[today].messages == 1
    assert not DaySummary.objects.exists()


def test_a_big_day_that_runs_is_added_up_once_a_minute(make_message, clock, monkeypatch):
    monkeypatch.setattr(kept, "BIG", 0)
    make_message(created_at=clock.now, updated_at=clock.now)
    today = day_of(clock.now)
    read_days(today, today)
    make_message(created_at=clock.now, updated_at=clock.now)
    assert read_days(today, today)[today].messages == 1
    clock.forward(minutes=1)
    assert read_days(today, today)[today].messages == 2


def test_a_big_day_that_runs_is_not_told_as_it_was(message, make_message, clock, monkeypatch):
    monkeypatch.setattr(kept, "BIG", 0)
    today = day_of(clock.now)
    make_message(created_at=clock.now, updated_at=clock.now)
    clock.forward(minutes=1)
    read_days(FIRST, today)
    clock.forward(hours=1)
    Message.objects.update(updated_at=clock.now)
    make_message(created_at=clock.now, updated_at=clock.now)
    assert read_days(FIRST, today, seconds=0)[today].messages == 2


def test_another_time_zone_has_other_days(message, settings):
    states()
    settings.TIME_ZONE = "Pacific/Kiritimati"  # noon in Rome is midnight there
    assert states() == {}
    assert states(DAY + timedelta(days=1)) == {"PENDING": 1}


def test_the_zone_of_the_user_changes_no_day(message):
    with timezone.override("Pacific/Kiritimati"):
        assert states() == {"PENDING": 1}


def test_what_cannot_be_kept_is_read_again(message, monkeypatch):
    def refuse(*args):
        raise DatabaseError("database is locked")

    monkeypatch.setattr("django_smsww.models.summaries.DaySummaryQuerySet.replace", refuse)
    with transaction.atomic():
        assert states() == states() == {"PENDING": 1}
    assert not DaySummary.objects.exists()


def test_who_has_no_more_time_gets_further_each_time(message):
    assert [len(read_days(FIRST, LAST, seconds=0)) for _ in range(5)] == [1, 2, 3, 4, 5]
    assert states() == {"PENDING": 1}


def test_days_that_change_all_the_time_hold_up_no_other(message, clock):
    for done in range(1, 6):
        Message.objects.update(updated_at=clock.now)
        assert len(read_days(DAY, LAST + timedelta(days=2), seconds=0)) == done


def test_who_has_no_more_time_sees_a_changed_day_as_it_was(message, clock):
    read_days(FIRST, LAST)
    clock.forward(days=1)
    Message.objects.update(state=State.DELIVERED, updated_at=clock.now)
    days = read_days(FIRST, LAST + timedelta(days=1), seconds=0)
    assert (len(days), days[DAY].groups["state"]["PENDING"].messages) == (6, 1)
    assert states() == {"DELIVERED": 1}


def test_days_that_have_not_ended_are_read_whatever_time_there_is(message, clock):
    today = day_of(clock.now)
    assert len(read_days(today, today + timedelta(days=2), seconds=0)) == 3


def test_who_can_keep_nothing_reads_all_at_once(message, monkeypatch):
    def refuse(*args):
        raise DatabaseError("cannot execute INSERT in a read-only transaction")

    monkeypatch.setattr("django_smsww.models.summaries.DaySummaryQuerySet.replace", refuse)
    assert len(read_days(FIRST, LAST, seconds=0)) == 5


def test_the_sync_keeps_up(message, clock):
    call_command("smsww_sync", "--using", "default")
    kept_days = DaySummary.objects.order_by("begins")
    assert [day_of(row.begins) for row in kept_days] == [DAY + timedelta(days=n) for n in range(10)]
    assert rows_read(states) == 2  # of the days before the first message


def test_without_messages_there_is_nothing_to_keep(clock):
    kept.keep_up()
    assert not DaySummary.objects.exists()


def test_days_of_a_project_without_time_zones(make_message, settings):
    settings.USE_TZ = False
    begun = datetime(2020, 3, 31, 23, 59)
    make_message(created_at=begun, updated_at=begun, expires_at=begun)
    for _ in range(2):
        days = read_days(date(2020, 3, 30), date(2020, 4, 1))
        assert [day.messages for day in days.values()] == [0, 1, 0]
    assert DaySummary.objects.count() == 3
