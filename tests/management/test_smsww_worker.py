"""The command that sends what is queued."""

import threading
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from itertools import islice

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, connections, transaction
from django.utils import timezone

from django_smsww import SMSRefused, SMSUnavailable, State, send_mass_sms, send_sms
from django_smsww.management.commands.smsww_worker import Command
from django_smsww.models import Message, MessageQuerySet, Suspension
from django_smsww.signals import message_state_changed
from django_smsww.worker.queue import deliver_due

from ..conftest import NUMBER, raises

pytestmark = pytest.mark.django_db(transaction=True)


def run(*arguments):
    output = StringIO()
    call_command("smsww_worker", "--once", *arguments, stdout=output)
    return output.getvalue()


def test_it_sends_what_is_queued_and_says_how_many(gateway):
    gateway.configure(queue=True)
    send_mass_sms("Hello", [f"+39333{n:07}" for n in range(300)])
    assert run() == "Sent: 300.\n"
    assert set(Message.objects.values_list("state", flat=True)) == {"NEW"}


def test_it_sends_the_urgent_first(gateway):
    gateway.configure(queue=True, concurrency=1)
    for priority in (0, 5, -1):
        send_sms(f"Priority {priority}", NUMBER, priority=priority)
    run()
    assert [sms.body for sms in gateway.sent] == ["Priority 5", "Priority 0", "Priority -1"]


@contextmanager
def when_the_first_leaves(do):
    """Do something, once, while the first messages are leaving."""
    todo = [do]

    def receive(sender, **kwargs):
        if todo:
            todo.pop()()

    message_state_changed.connect(receive)
    yield
    message_state_changed.disconnect(receive)


def test_an_urgent_message_overtakes_what_was_queued_before_it(gateway):
    gateway.configure(queue=True, concurrency=1)
    send_mass_sms("Hello", [f"+39333{n:07}" for n in range(60)], preflight=False)
    with when_the_first_leaves(lambda: send_sms("Urgent", NUMBER, priority=5)):
        run()
    assert [sms.body for sms in gateway.sent].index("Urgent") < 20


def test_a_worker_leaves_some_of_a_short_queue_to_others(gateway):
    gateway.configure(queue=True, concurrency=1)
    send_mass_sms("Hello", [f"+39333{n:07}" for n in range(60)], preflight=False)
    left = []
    with when_the_first_leaves(
        lambda: left.append(Message.objects.filter(lease_token=None).count())
    ):
        run()
    assert left[0] > 40


def test_a_message_that_fails_does_not_keep_the_others_back(gateway):
    gateway.configure(queue=True)
    accept = gateway.answer

    def answer(sms):
        if sms.body == "Poison":
            raise RuntimeError
        return accept(sms)

    gateway.answer = staticmethod(answer)
    send_sms("Poison", NUMBER)
    send_sms("Hello", NUMBER)
    run()
    assert list(Message.objects.order_by("pk").values_list("state", flat=True)) == [
        "UNKNOWN",
        "NEW",
    ]


def test_it_leaves_a_row_to_the_call_that_is_about_to_send_it(gateway, make_message):
    make_message(next_attempt_at=timezone.now() + timedelta(minutes=1))
    assert run() == ""


def test_it_prints_nothing_at_verbosity_0(gateway):
    gateway.configure(queue=True)
    send_sms("Hello", NUMBER)
    assert (run("-v0"), len(gateway.sent)) == ("", 1)


def test_a_service_says_what_it_did_and_names_a_pause(gateway):
    gateway.configure(queue=True)
    send_sms("Hello", NUMBER)
    steps = iter([Suspension.objects.pause, Suspension.objects.resume])
    output = StringIO()

    class Stop(StopWhen):
        def wait(self, seconds):
            for step in islice(steps, 1):
                step("default", "")

    service = Command(stdout=output)
    service.work(["default"], Stop(lambda: output.getvalue().count("paused") == 2), interval=0.01)
    assert output.getvalue().splitlines() == [
        "Sent: 1.",
        "default is paused: smsww_status says why.",
        "default is no longer paused.",
    ]


def test_it_settles_what_a_dead_process_left(gateway, make_message):
    past = timezone.now() - timedelta(seconds=1)
    make_message(state=State.SENDING, lease_until=past)
    assert run() == "Unknown: 1 (worker_lost).\n"
    assert Message.objects.get().state == "UNKNOWN"
    assert gateway.sent == []


def test_it_says_how_many_were_not_accepted_and_why(gateway, make_message):
    gateway.answer = raises(SMSRefused(code="2011", status=422))
    past = timezone.now() - timedelta(seconds=1)
    for expires_at in (past, timezone.now() + timedelta(hours=1)):
        make_message(next_attempt_at=past, expires_at=expires_at)
    assert run().splitlines() == ["Failed: 1 (2011).", "Failed: 1 (expired_unsent)."]


def test_it_counts_apart_what_went_back_to_the_queue(gateway):
    gateway.configure(queue=True, max_segments_per_day=2)
    send_mass_sms("Hello", [f"+39333{n:07}" for n in range(5)], preflight=False)
    assert run() == "Sent: 2.\nPut back into the queue: 3 (max_segments_per_day).\n"
    gateway.configure(queue=True)
    gateway.answer = raises(SMSUnavailable(status=503))
    send_sms("Hello", NUMBER)
    assert run() == "Put back into the queue: 1 (unavailable).\n"
    assert Message.objects.filter(state="QUEUED").count() == 4


def test_it_counts_dry_runs_and_the_messages_of_a_stopped_batch(gateway):
    gateway.configure(queue=True)
    first, _second = send_mass_sms("Hello", [f"+39333{n:07}" for n in range(2)], preflight=False)
    send_sms("Hello", NUMBER, dry_run=True)
    scope = f"batch:{first.batch}"
    Suspension.objects.pause("default", "", scope=scope, code="stopped")
    assert run() == "Dry runs: 1.\nCancelled: 2 (stopped).\n"


def test_it_gives_up_after_ten_attempts_while_others_get_through(gateway):
    gateway.configure(queue=True)
    gateway.answer = raises(SMSUnavailable())
    message = send_sms("Hello", NUMBER)
    for _ in range(12):
        Suspension.objects.all().delete()  # as a success does
        Message.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
        run()
    message.refresh_from_db()
    assert (message.state, message.attempts, len(gateway.sent)) == ("FAILED", 10, 10)


def test_what_another_worker_has_just_taken_does_not_hide_the_rest(gateway, monkeypatch):
    gateway.configure(queue=True)
    first, *_ = send_mass_sms("Hello", [f"+39333{n:07}" for n in range(3)])
    taken = threading.Event()

    def overtaken(rows, primary_keys, lease):
        if not taken.is_set():
            taken.set()
            Message.objects.filter(pk=first.pk).update(lease_until=lease.until)
        return take(rows, primary_keys, lease)

    take = MessageQuerySet.lease
    monkeypatch.setattr(MessageQuerySet, "lease", overtaken)
    monkeypatch.setitem(deliver_due.__kwdefaults__, "limit", 1)
    monkeypatch.setattr(connection.features, "has_select_for_update_skip_locked", False)
    assert run() == "Sent: 2.\n"


@pytest.mark.postgresql
def test_a_worker_passes_by_what_another_is_just_taking(gateway):
    gateway.configure(queue=True)
    rows = send_mass_sms("Hello", [f"+39333{n:07}" for n in range(3)])
    with another_connection() as other, transaction.atomic(using=other):
        Message.objects.using(other).select_for_update().get(pk=rows[0].pk)
        assert run() == "Sent: 2.\n"
    assert run() == "Sent: 1.\n"


@contextmanager
def another_connection():
    connections["other"] = connection.copy("other")
    try:
        yield "other"
    finally:
        connections["other"].close()
        del connections["other"]


class Away:
    """A database that cannot be reached, for so many statements."""

    def __init__(self, times):
        self.times = times

    def __call__(self, execute, sql, params, many, context):
        if self.times:
            self.times -= 1
            raise OperationalError("connection to s3cr3t refused")
        return execute(sql, params, many, context)


def test_a_database_that_is_away_is_named(gateway):
    with connection.execute_wrapper(Away(1)), pytest.raises(CommandError) as caught:
        run()
    assert "The database is away (OperationalError)" in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


def test_a_service_goes_on_when_the_database_is_back(gateway):
    gateway.configure(queue=True)
    send_sms("Hello", NUMBER)
    errors = StringIO()

    def until_sent(*signal):
        return len(gateway.sent) == 1

    with connection.execute_wrapper(Away(2)):
        output = StringIO()
        service = Command(stdout=output, stderr=errors)
        service.work(["default"], StopWhen(until_sent), interval=0.01)
    assert (output.getvalue(), len(gateway.sent)) == ("Sent: 1.\n", 1)
    assert errors.getvalue().count("is away") == 2


class StopWhen:
    """Stands for the event that a signal sets."""

    def __init__(self, is_over):
        self.is_set = is_over

    def wait(self, seconds):
        """Return at once."""


class Terminal(StringIO):
    def isatty(self):
        return True


def test_a_person_who_watches_sees_how_far_it_is(gateway, monkeypatch):
    gateway.configure(queue=True)
    send_mass_sms("Hello", [f"+39333{n:07}" for n in range(30)], preflight=False)
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    run()
    assert "30/30" in terminal.getvalue()


def test_several_aliases_take_turns(gateway, settings, monkeypatch):
    gateway.configure(queue=True)
    settings.SMSWW = {**settings.SMSWW, "other": settings.SMSWW["default"]}
    numbers = [f"+39333{n:07}" for n in range(300)]
    send_mass_sms("Advertisement", numbers, preflight=False)
    send_sms("Your code", NUMBER, using="other")
    assert run() == "Sent: 301.\n"
    assert [sms.body for sms in gateway.sent].index("Your code") <= 250
