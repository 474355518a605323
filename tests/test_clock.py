"""The clock of leases and time-outs, and the one that several hosts share."""

import time

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_smsww import clock
from django_smsww.clock import database_now, elapsed
from django_smsww.models.lease import SECONDS, Lease


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="there is no such clock here")
def test_a_lease_is_over_when_the_machine_slept_through_it(monkeypatch, db):
    lease, awake = Lease.begin("default"), time.clock_gettime
    asleep = {time.CLOCK_BOOTTIME: SECONDS}
    monkeypatch.setattr(time, "clock_gettime", lambda clock: awake(clock) + asleep.get(clock, 0))
    assert lease.is_half_gone


def test_without_that_clock_the_monotonic_one_has_to_do(monkeypatch):
    monkeypatch.delattr(time, "CLOCK_BOOTTIME", raising=False)
    monkeypatch.setattr(time, "monotonic", lambda: 4711.0)
    assert elapsed() == 4711.0


@pytest.fixture
def passed(monkeypatch, db):
    """The seconds that this process believes to have passed, to be put forward."""
    passed = [1000.0]
    monkeypatch.setattr(clock, "elapsed", lambda: passed[0])
    monkeypatch.setattr(clock, "_answers", {})
    monkeypatch.setattr(clock, "_FRESH", 1.0)
    return passed


@pytest.fixture
def stopped(passed):
    """Return a context in which the process stops for some seconds while it asks."""

    def stopped_for(seconds):
        def stop(execute, *args):
            answer = execute(*args)
            passed[0] += seconds
            return answer

        return connection.execute_wrapper(stop)

    return stopped_for


@pytest.mark.postgresql
def test_the_database_is_asked_once_a_second(passed):
    with CaptureQueriesContext(connection) as queries:
        first = database_now("default")
        passed[0] += 0.9
        later = database_now("default")
        assert len(queries) == 1
        assert (later - first).total_seconds() == pytest.approx(0.9)
        passed[0] += 0.1
        assert (database_now("default") - first).total_seconds() < 0.9
        assert len(queries) == 2


@pytest.mark.postgresql
def test_who_is_stopped_while_it_asks_does_not_run_ahead(stopped, monkeypatch):
    """It would take the leases of others for over."""
    before = database_now("default")
    monkeypatch.setattr(clock, "_answers", {})
    with stopped(600):
        assert (database_now("default") - before).total_seconds() < 10


@pytest.mark.postgresql
def test_who_was_stopped_while_it_asked_begins_no_lease_by_that(stopped):
    """It would end before those are answered that may begin under it."""
    with stopped(200):
        database_now("default")
    with CaptureQueriesContext(connection) as queries:
        Lease.begin("default")
    assert len(queries) == 1
