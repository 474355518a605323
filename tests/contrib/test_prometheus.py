"""The metrics: what is wrong shows in them, and nothing personal."""

from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client import CollectorRegistry, generate_latest

from django_smsww import State
from django_smsww.contrib import prometheus
from django_smsww.contrib.prometheus import SMSCollector
from django_smsww.contrib.simulator.process import SimulatorProcess
from django_smsww.gateway.signature import HEADER
from django_smsww.models import Suspension

from ..conftest import NUMBER
from ..support.door import ENVIRONMENT, hear, post

pytestmark = pytest.mark.django_db


@pytest.fixture
def registry():
    registry = CollectorRegistry(auto_describe=True)
    registry.register(SMSCollector())
    return registry


@pytest.fixture(autouse=True)
def here(gateway):
    gateway.configure(environment=ENVIRONMENT)


def ago(**span):
    return timezone.now() - timedelta(**span)


def value(registry, name, **labels):
    return registry.get_sample_value(f"smsww_{name}", labels)


def test_messages_are_counted_by_state(registry, make_message):
    make_message(environment=ENVIRONMENT, state=State.UNKNOWN, created_at=ago(minutes=90))
    make_message(environment=ENVIRONMENT, state=State.FAILED)
    make_message(environment="elsewhere", state=State.UNKNOWN)
    assert value(registry, "messages", alias="default", state="UNKNOWN") == 1
    assert value(registry, "messages", alias="default", state="QUEUED") == 0
    assert value(registry, "messages_last_hour", alias="default", state="FAILED") == 1
    assert value(registry, "messages_last_hour", alias="default", state="UNKNOWN") == 0


def test_the_ages_are_those_of_the_oldest_messages(registry, make_message):
    for minutes in (5, 20):
        columns = {"environment": ENVIRONMENT, "created_at": ago(minutes=minutes)}
        make_message(**columns, state=State.QUEUED, next_attempt_at=ago(minutes=minutes))
        make_message(**columns, state=State.UNKNOWN)
    assert value(registry, "due_messages", alias="default") == 2
    assert value(registry, "due_age_seconds", alias="default") == pytest.approx(1200, abs=10)
    assert value(registry, "unknown_age_seconds", alias="default") == pytest.approx(1200, abs=10)


def test_an_empty_history_has_no_age(registry, db):
    assert value(registry, "up") == 1
    assert value(registry, "due_age_seconds", alias="default") == 0
    assert value(registry, "stalled_messages", alias="default") == 0
    assert value(registry, "overdue_messages", alias="default") == 0


def test_suspensions_name_their_error(registry, db):
    Suspension.objects.create(
        alias="default", environment=ENVIRONMENT, scope="alias", error="InvalidToken", times=1
    )
    labels = {"alias": "default", "scope": "alias", "error": "InvalidToken"}
    assert value(registry, "suspensions", **labels) == 1


def test_callbacks_are_counted_by_outcome_and_refused_ones_by_reason(registry, make_message):
    message = make_message(environment=ENVIRONMENT, state=State.NEW)
    post({"data": {}}, {HEADER: "forged"})
    hear(message)
    assert value(registry, "callbacks_last_hour", outcome="moved") == 1
    assert value(registry, "callbacks_last_hour", outcome="no_row") == 0
    labels = {"environment": ENVIRONMENT, "reason": "not_authentic"}
    assert value(registry, "callbacks_refused_total", **labels) == 1


def test_without_a_database_only_up_is_told(registry):
    def break_down(*args):
        raise OperationalError

    with connection.execute_wrapper(break_down):
        text = generate_latest(registry).decode()
    samples = [line for line in text.splitlines() if not line.startswith("#")]
    assert samples == ["smsww_up 0.0"]


def test_nothing_personal_is_exported(registry, make_message):
    make_message(environment=ENVIRONMENT, state=State.UNKNOWN, body="The secret text", tag="Mario")
    text = generate_latest(registry).decode()
    assert [word for word in (NUMBER, "secret", "Mario") if word in text] == []


def test_a_scrape_takes_few_statements_and_registering_none(make_message, db):
    make_message(environment=ENVIRONMENT, state=State.UNKNOWN)
    registry = CollectorRegistry(auto_describe=True)
    with CaptureQueriesContext(connection) as captured:
        registry.register(SMSCollector())
        assert len(captured) == 0
        generate_latest(registry)
    assert len(captured) == 9


@pytest.fixture
def account(settings, monkeypatch):
    """An alias with an account at the simulator, and a clock of ours."""
    with SimulatorProcess() as simulator:
        host = {"token": "t", "host": simulator.url, "environment": ENVIRONMENT}
        options = host | {"account_email": "me@example.com", "api_key": "key"}
        settings.SMSWW = {"default": {"OPTIONS": options}}
        simulator.clock = 0.0
        monkeypatch.setattr(prometheus, "monotonic", lambda: simulator.clock)
        yield simulator


def test_the_credit_is_asked_for_once_in_ten_minutes(account, registry):
    for seconds, credit, shown in ((0, "12.5", 12.5), (599, "7", 12.5), (601, "7", 7)):
        account.clock = seconds
        account.set_account(credit=credit)
        assert value(registry, "credit_euros", alias="default") == shown


def test_an_account_that_does_not_answer_has_no_credit(registry, settings):
    host = {"token": "t", "host": "http://127.0.0.1:9", "account_email": "a@b.c", "api_key": "k"}
    settings.SMSWW = {"default": {"OPTIONS": host}}
    assert value(registry, "credit_euros", alias="default") is None
    assert value(registry, "up") == 1
