"""What every engine of a queue can rely on, and what relies on no engine."""

from datetime import timedelta

import pytest
from django.utils import timezone

from django_smsww import SMSUnavailable, send_sms
from django_smsww.models import Message
from django_smsww.worker import task_queues as engines

from ..conftest import NUMBER, raises
from ..test_checks import GOOD, found  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db(transaction=True)
calls = []
NO_FUNCTION = 7


def down(alias, primary_keys):
    calls.append(primary_keys)
    raise ConnectionError("redis://:s3cr3t@broker")


@pytest.fixture(autouse=True)
def _no_calls():
    calls.clear()


def test_an_engine_that_is_down_is_named_without_its_secrets(gateway, caplog):
    message = send_sms("Hello", NUMBER, queue="tests.worker.test_task_queues.down")
    assert message.state == "QUEUED"
    assert "tests.worker.test_task_queues.down did not take 1 messages" in caplog.text
    assert "ConnectionError" in caplog.text
    assert "s3cr3t" not in caplog.text


def test_an_engine_that_is_down_is_left_alone_for_a_while(gateway, monkeypatch):
    for _ in range(2):
        send_sms("Hello", NUMBER, queue="tests.worker.test_task_queues.down")
    assert len(calls) == 1
    monkeypatch.setattr(engines, "REST_SECONDS", 0)
    engines.forget_failures()
    for _ in range(2):
        send_sms("Hello", NUMBER, queue="tests.worker.test_task_queues.down")
    assert len(calls) == 3


def test_a_block_that_is_given_out_again_does_not_hurry_what_was_put_off(gateway):
    gateway.configure(queue=True)
    messages = [send_sms(text, NUMBER) for text in ("Tried", "Not yet tried")]
    tried, untried = [message.pk for message in messages]
    gateway.answer = raises(SMSUnavailable(retry_after=60))
    engines.deliver_block("default", [tried])
    for _ in range(2):
        engines.deliver_block("default", [tried, untried])
    assert [sms.body for sms in gateway.sent] == ["Tried", "Not yet tried"]
    Message.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    engines.deliver_block("default", [tried, untried])
    assert len(gateway.sent) == 4


def at_once(alias, primary_keys):
    engines.deliver_block(alias, primary_keys)


def test_a_key_that_is_repeated_is_tried_at_once_whatever_the_clocks_say(gateway, monkeypatch):
    answer, gateway.answer = gateway.answer, raises(SMSUnavailable())
    with pytest.raises(SMSUnavailable):
        send_sms("Hello", NUMBER, key="once")
    gateway.answer = staticmethod(answer)
    behind = timezone.now() - timedelta(seconds=2)
    monkeypatch.setattr(engines, "database_now", lambda using: behind)
    message = send_sms("Hello", NUMBER, key="once", queue="tests.worker.test_task_queues.at_once")
    message.refresh_from_db()
    assert message.state == "NEW"


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("tests.worker.test_task_queues.nothing", "cannot be imported"),
        ("no.such.module", "cannot be imported"),
        ("tests.worker.test_task_queues.NO_FUNCTION", "is not a function"),
        ("django_smsww.contrib.celery.tasks.enqueue", "celery, which is not installed"),
        ("django_smsww.contrib.tasks.tasks.enqueue", "tasks, which is not installed"),
    ],
)
def test_an_engine_that_cannot_be_called_is_reported(found, path, problem):  # noqa: F811
    assert problem in found(**GOOD, queue=path)["E021"].msg


@pytest.mark.parametrize("queue", [True, False, "tests.worker.test_task_queues.down"])
def test_a_queue_that_works_is_not_reported(found, queue):  # noqa: F811
    assert "E021" not in found(**GOOD, queue=queue)
