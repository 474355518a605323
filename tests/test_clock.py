"""The clock that several hosts share."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_smsww import clock
from django_smsww.clock import database_now
from django_smsww.models.lease import Lease

pytestmark = [pytest.mark.django_db, pytest.mark.postgresql]


@pytest.fixture
def seconds(monkeypatch):
    """What this process believes to have elapsed, to be put forward."""
    passed = [1000.0]
    monkeypatch.setattr(clock, "elapsed", lambda: passed[0])
    monkeypatch.setattr(clock, "_answers", {})
    return passed


def test_the_database_is_asked_once_a_second(seconds):
    with CaptureQueriesContext(connection) as queries:
        first = database_now("default")
        seconds[0] += 0.9
        later = database_now("default")
        assert len(queries) == 1
        assert (later - first).total_seconds() == pytest.approx(0.9)
        seconds[0] += 0.1
        assert (database_now("default") - first).total_seconds() < 0.9
        assert len(queries) == 2


def test_who_is_stopped_while_it_asks_does_not_run_ahead(seconds, monkeypatch):
    """It would take the leases of others for over."""

    def stop(execute, *args):
        answer = execute(*args)
        seconds[0] += 600
        return answer

    before = database_now("default")
    monkeypatch.setattr(clock, "_answers", {})
    with connection.execute_wrapper(stop):
        assert (database_now("default") - before).total_seconds() < 10


def test_who_was_stopped_while_it_asked_begins_no_lease_by_that(seconds):
    """It would end before those are answered that may begin under it."""

    def stop(execute, *args):
        answer = execute(*args)
        seconds[0] += 200
        return answer

    with connection.execute_wrapper(stop):
        database_now("default")
    with CaptureQueriesContext(connection) as queries:
        Lease.begin("default")
    assert len(queries) == 1
