"""`django.tasks` as the task queue."""

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import OperationalError, transaction
from django_tasks_db.models import DBTaskResult

from django_smsww import SMSUnavailable, send_mass_sms, send_sms
from django_smsww.contrib.tasks.checks import check_backend
from django_smsww.contrib.tasks.tasks import enqueue, task
from django_smsww.models import Message

from ..conftest import NUMBER, raises

pytestmark = pytest.mark.django_db(transaction=True)
QUEUE = "django_smsww.contrib.tasks.tasks.enqueue"


def work():
    """Let a worker run all tasks that wait."""
    options = {"startup_delay": False, "interval": 0, "reload": False, "batch": True}
    call_command("db_worker", verbosity=0, **options)


def states():
    return {message.state for message in Message.objects.all()}


def test_a_message_leaves_with_a_worker_of_the_tasks_database(queue):
    assert send_sms("Hello", NUMBER).state == "QUEUED"
    assert queue.sent == []
    work()
    assert (states(), len(queue.sent)) == ({"NEW"}, 1)


def test_a_task_is_there_when_its_rows_are_committed_and_not_before(queue):
    with transaction.atomic():
        send_sms("Hello", NUMBER)
        assert not DBTaskResult.objects.exists()
    assert DBTaskResult.objects.count() == 1


def test_a_mass_send_has_a_task_for_each_block(queue, send_300):
    send_300()
    sizes = [len(task.args_kwargs["args"][1]) for task in DBTaskResult.objects.all()]
    assert sorted(sizes) == [50, 250]
    work()
    assert (states(), len(queue.sent)) == ({"NEW"}, 300)


def test_enqueue_makes_blocks_of_a_long_list(queue, send_300):
    queue.configure(queue=True)
    enqueue("default", [row.pk for row in send_300()])
    assert DBTaskResult.objects.count() == 2


def test_an_urgent_message_overtakes_a_mass_send(queue):
    queue.configure(queue=QUEUE, concurrency=1)
    send_mass_sms("Hello", ["+393330000001", "+393330000002"], preflight=False)
    send_sms("Urgent", NUMBER, priority=5)
    work()
    assert queue.sent[0].body == "Urgent"


@pytest.mark.parametrize("priority", [30000, -30000])
def test_a_priority_beyond_those_of_tasks_is_cut_off(queue, priority):
    send_sms("Hello", NUMBER, priority=priority)
    assert abs(DBTaskResult.objects.get().priority) == 100


def test_a_task_that_is_run_again_sends_nothing_twice(queue):
    send_sms("Hello", NUMBER)
    work()
    DBTaskResult.objects.update(status="READY")
    work()
    assert len(queue.sent) == 1


def test_a_task_that_failed_without_its_database_is_run_again(queue, monkeypatch):
    send_sms("Hello", NUMBER)
    with monkeypatch.context() as context:
        context.setattr(Message.objects.__class__, "using", raises(OperationalError("away")))
        work()
    assert (DBTaskResult.objects.get().status, queue.sent) == ("FAILED", [])
    DBTaskResult.objects.update(status="READY")
    work()
    assert (states(), len(queue.sent)) == ({"NEW"}, 1)


def test_what_could_not_be_sent_waits_for_the_sweep(queue):
    queue.answer = raises(SMSUnavailable())
    send_sms("Hello", NUMBER)
    work()
    assert Message.objects.get().state == "QUEUED"
    del queue.answer
    call_command("smsww_worker", "--once")
    assert Message.objects.get().attempts == 1


def test_a_tasks_database_that_is_away_loses_nothing(queue, monkeypatch, caplog):
    def away(backend, task, args, kwargs):
        raise OperationalError("password=s3cr3t")

    monkeypatch.setattr("django_tasks_db.DatabaseBackend.enqueue", away)
    assert send_sms("Hello", NUMBER).state == "QUEUED"
    assert "did not take 1 messages of 'default': OperationalError" in caplog.text
    assert "s3cr3t" not in caplog.text


@pytest.mark.parametrize("name", ["immediate.ImmediateBackend", "dummy.DummyBackend"])
def test_a_backend_without_workers_is_reported(settings, name):
    assert check_backend() == []
    package = "django.tasks" if task.__module__.startswith("django.tasks") else "django_tasks"
    settings.TASKS = {"default": {"BACKEND": f"{package}.backends.{name}"}}
    [warning] = [each for each in run_checks(tags=["sms"]) if each.id == "smsww.W021"]
    assert name.partition(".")[2] in warning.msg
