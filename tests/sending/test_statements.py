"""How many statements each door makes: what Django logs, BEGIN, COMMIT and savepoints included."""

import re

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from django_smsww import SMS, send_mass_sms, send_messages, send_sms
from django_smsww.backends.handler import sms_backends
from django_smsww.models import Message
from django_smsww.signals import message_failed, message_sent, message_state_changed
from django_smsww.worker.queue import deliver_due

from ..support.door import ENVIRONMENT, hear

pytestmark = pytest.mark.django_db(transaction=True)

NUMBER = "+393331234567"
NUMBERS = [f"+39333{number:07}" for number in range(250)]


@pytest.fixture(autouse=True)
def receivers(settings):
    """One receiver on each signal, as most projects have one."""

    def hear(**kwargs):
        pass

    signals = (message_failed, message_sent, message_state_changed)
    for signal in signals:
        signal.connect(hear)
    yield
    for signal in signals:
        signal.disconnect(hear)


def in_transaction(**options):
    with transaction.atomic():
        send_sms("Hello", NUMBER, **options)


def alone(**options):
    send_sms("Hello", NUMBER, **options)


def many(**options):
    send_mass_sms("Hello", NUMBERS, queue=True, **options)


def different(**options):
    send_messages([SMS(number, number) for number in NUMBERS], queue=True, **options)


def many_in_transaction(**options):
    with transaction.atomic():
        many(**options)


@pytest.mark.parametrize(
    ("call", "options", "count", "without_returning"),
    [
        (alone, {}, 2, 3),
        (alone, {"key": "a"}, 3, 5),
        (in_transaction, {}, 5, 7),
        (alone, {"queue": True}, 1, 1),
        (many, {}, 3, 5),
        (many, {"key": "a"}, 4, 6),
        (different, {}, 2, 4),
        (many_in_transaction, {}, 7, 7),
    ],
)
def test_a_call_takes_few_statements(gateway, call, options, count, without_returning):
    with CaptureQueriesContext(connection) as queries:
        call(**options)
    allowed = without_returning if connection.vendor == "mysql" else count
    assert len(queries) == allowed


@pytest.mark.parametrize(
    ("words", "count", "elsewhere"),
    [
        (["DELIVERED"], 1, 5),
        (["PENDING"], 1, 5),
        (["DELIVERED", "DELIVERED"], 9, 8),  # nothing moves, and the row has to say why
        (["DELIVERED", "NEW"], 7, 7),
    ],
)
def test_a_callback_takes_few_statements(make_message, words, count, elsewhere):
    message = make_message(environment=ENVIRONMENT, state="NEW", provider_id="provider-1")
    *before, last = words
    for word in before:
        hear(message, word)
    with CaptureQueriesContext(connection) as queries:
        hear(message, last)
    assert len(queries) == (count if connection.vendor == "postgresql" else elsewhere)


@pytest.mark.skipif("connection.vendor != 'postgresql'")
def test_a_callback_looks_its_message_up_once(make_message):
    message = make_message(environment=ENVIRONMENT, state="NEW")
    with CaptureQueriesContext(connection) as queries:
        hear(message, "DELIVERED")
    assert queries[-1]["sql"].count('FROM "django_smsww_message" WHERE') == 1


def drain():
    many()
    assert deliver_due(sms_backends["default"], using="default") == len(NUMBERS)


def test_a_queued_call_gives_the_driver_few_parameters(gateway):
    counts = []

    def count(execute, sql, params, many, context):
        if sql.startswith("INSERT"):
            counts.append(len(params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(count):
        alone(queue=True)
    # A value for a column without a literal, and one for the do-not-send list.
    assert counts == [14]


def test_a_call_makes_no_model_to_learn_its_defaults(gateway, monkeypatch):
    alone(queue=True)
    monkeypatch.setattr(Message, "__init__", None)
    alone(queue=True)


@pytest.mark.skipif("connection.vendor != 'postgresql'")
@pytest.mark.parametrize("call", [drain, lambda: send_mass_sms("Hello", NUMBERS)])
def test_rows_are_named_by_one_parameter(gateway, call):
    with CaptureQueriesContext(connection) as queries:
        call()
    assert not [query["sql"] for query in queries if re.search(r"IN \(\d+, \d+", query["sql"])]
