"""Celery as the task queue; `tests/race` has real workers and a real broker."""

from unittest.mock import DEFAULT, Mock

import pytest
from celery import Celery, current_app
from django.core.checks import run_checks
from django.db import OperationalError
from kombu import Connection

from django_smsww import send_sms
from django_smsww.contrib.celery import broker, checks, tasks
from django_smsww.models import Message

from ..conftest import NUMBER
from .celery_app import app

pytestmark = pytest.mark.django_db(transaction=True)
QUEUE = "django_smsww.contrib.celery.tasks.enqueue"


@pytest.fixture
def in_memory(monkeypatch):
    """Use a broker in this process; return a function that takes all messages out of it."""
    monkeypatch.setitem(app.conf.changes, "broker_url", "memory://")

    def receive():
        with app.connection_for_read() as connection, connection.SimpleQueue("celery") as inbox:
            messages = [inbox.get(block=False) for _ in range(inbox.qsize())]
            [message.ack() for message in messages]
        return messages

    receive()
    return receive


def test_a_dead_broker_loses_nothing_and_is_asked_once_for_all_blocks(
    queue, send_300, caplog, monkeypatch
):
    monkeypatch.setattr("django_smsww.sending.api.QUEUED_ROWS", 250)
    assert {row.state for row in send_300()} == {"QUEUED"}
    assert caplog.text.count("did not take") == 1
    assert "did not take 250 messages of 'default': OperationalError" in caplog.text


def test_a_task_is_published_for_each_block(queue, send_300, in_memory):
    send_300()
    sizes = [len(message.payload[0][1]) for message in in_memory()]
    assert sizes == [250, 50]


def test_the_task_sends_and_a_redelivered_one_sends_nothing_twice(queue, in_memory):
    send_sms("Hello", NUMBER)
    [message] = in_memory()
    for _ in range(2):
        tasks.deliver.apply(args=message.payload[0], throw=True)
    assert (Message.objects.get().state, len(queue.sent)) == ("NEW", 1)


def test_a_task_whose_database_was_away_is_repeated(queue, in_memory, monkeypatch):
    send_sms("Hello", NUMBER)
    [message] = in_memory()
    deliver_block = Mock(side_effect=[OperationalError, DEFAULT], wraps=tasks.deliver_block)
    monkeypatch.setattr(tasks, "deliver_block", deliver_block)
    tasks.deliver.apply(args=message.payload[0])
    assert (deliver_block.call_count, len(queue.sent)) == (2, 1)


def test_an_app_that_is_always_eager_sends_at_once(queue, monkeypatch):
    monkeypatch.setitem(app.conf.changes, "task_always_eager", True)
    send_sms("Hello", NUMBER)
    assert Message.objects.get().state == "NEW"


def test_a_sweep_sends_due_messages(queue):
    send_sms("Hello", NUMBER, queue=True)
    tasks.sweep()
    assert Message.objects.get().state == "NEW"


@pytest.mark.parametrize(
    ("url", "expected"),
    [("redis://127.0.0.1:1/0", [0, 3, 6]), ("amqp://127.0.0.1:1", [9, None, None])],
)
def test_priorities_are_those_of_the_broker(url, expected):
    pytest.importorskip("redis")
    connection = Connection(url)
    assert [broker.priority_for(connection, priority) for priority in (7, 0, -7)] == expected


def test_a_broker_that_nobody_has_configured_is_reported(monkeypatch):
    assert current_app.main == "task_queues"
    assert checks.check_broker() == []
    monkeypatch.setattr(checks, "current_app", Celery("bare", set_as_current=False))
    assert "smsww.W022" in {each.id for each in run_checks(tags=["sms"])}
