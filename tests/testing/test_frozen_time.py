"""Tests of a project that freeze time, on each database."""

from datetime import UTC, datetime, timedelta

import freezegun
import pytest
import time_machine
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from django_smsww import clock, send_sms
from django_smsww.testing import assert_sms_sent, real_sms

from ..conftest import NUMBER

QUEUED = {"default": {"OPTIONS": {"token": "a-token", "queue": True, "rate_limit": "50/s"}}}
FREEZERS = {
    "freezegun": freezegun.freeze_time,
    "time-machine": lambda moment: time_machine.travel(moment, tick=False),
}


@pytest.fixture(params=FREEZERS)
def frozen_at(request):
    return FREEZERS[request.param]


@pytest.mark.parametrize("year", [2020, 2040])
@pytest.mark.django_db(transaction=True)
def test_a_message_leaves_when_its_frozen_time_has_come(settings, frozen_at, year):
    settings.SMSWW = QUEUED
    noon = datetime(year, 5, 1, 12, tzinfo=UTC)
    with frozen_at(noon):
        send_sms("Hello", NUMBER, send_at=noon + timedelta(hours=2))
        call_command("smsww_worker", "--once")
        assert_sms_sent(count=0)
    with frozen_at(noon + timedelta(hours=2)):
        call_command("smsww_worker", "--once")
        assert_sms_sent(count=1)


@pytest.mark.django_db(transaction=True)
def test_a_code_is_late_when_its_frozen_time_is_over(settings, frozen_at):
    settings.SMSWW = QUEUED
    noon = datetime(2040, 5, 1, 12, tzinfo=UTC)
    with frozen_at(noon):
        message = send_sms("Your code is 493817.", NUMBER, sensitive=True)
    with frozen_at(noon + timedelta(minutes=11)):
        call_command("smsww_worker", "--once")
    message.refresh_from_db()
    assert (message.state, message.error_code) == ("FAILED", "expired_unsent")


@pytest.fixture
def answered(monkeypatch, db):
    """The time that the server of the database has just answered."""
    later, now = datetime(2050, 5, 1, tzinfo=UTC), clock.elapsed()
    monkeypatch.setattr(clock, "_QUERIES", {connection.vendor: "SELECT 1"})
    monkeypatch.setattr(clock, "_answers", {"default": (later.replace(tzinfo=None), now, now)})
    return later


def test_clock_of_the_database_is_that_of_django(answered, frozen_at):
    with frozen_at(datetime(2040, 5, 1, tzinfo=UTC)):
        assert clock.database_now("default") == timezone.now()


def test_real_sending_goes_by_the_clock_of_the_database(answered):
    with real_sms():
        assert clock.database_now("default") >= answered
