"""What holds sending back: by hand, by an error, for an alias, a batch or a text."""

import threading
from datetime import timedelta
from io import StringIO
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.core.checks import Tags, run_checks
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from django_smsww import (
    SMS,
    AccountBlocklisted,
    ContentRefused,
    InsufficientCredit,
    InvalidToken,
    SendResult,
    SMSUnavailable,
    send_mass_sms,
    send_messages,
    send_sms,
)
from django_smsww.backends.handler import sms_backends
from django_smsww.clock import local_time, rounded_up
from django_smsww.models import Event, Heartbeat, Message, Suspension
from django_smsww.models.batch import stop_batch
from django_smsww.signals import message_state_changed
from django_smsww.worker.queue import deliver, deliver_due

from ..conftest import NUMBER, raises

NUMBERS = [f"+39333{n:07}" for n in range(200)]
pytestmark = pytest.mark.django_db(transaction=True)


def run(*arguments):
    output = StringIO()
    call_command(*arguments, stdout=output)
    return output.getvalue()


def sweep():
    return deliver_due(sms_backends["default"], using="default")


def states():
    return sorted(set(Message.objects.values_list("state", flat=True)))


def from_a_thread(function):
    """Call it, and close the connection that this thread has to the database."""
    try:
        function()
    finally:
        connection.close()


# By hand


def test_a_paused_alias_sends_nothing_until_it_is_resumed(gateway):
    run("smsww_pause", "default", "--reason", "Wrong price list")
    with pytest.raises(SMSUnavailable) as caught:
        send_sms("Hello", NUMBER, key="report-1")
    assert (caught.value.code, caught.value.detail) == ("suspended", "Wrong price list")
    assert gateway.sent == []
    run("smsww_resume", "default")
    assert send_sms("Hello", NUMBER, key="report-1").state == "NEW"


@pytest.mark.parametrize("scope", ["alias", "batch"])
def test_resume_names_the_messages_that_are_still_leased(gateway, make_message, scope):
    run("smsww_pause", "default")
    batch, until = uuid4(), timezone.now() + timedelta(minutes=4)
    run("smsww_pause", "default", "--batch", str(batch))
    for of in (batch, uuid4()):
        make_message(batch=of, lease_token=uuid4(), lease_until=until)
    make_message(batch=batch, lease_token=uuid4(), lease_until=timezone.now() - timedelta(1))
    count, only = {"alias": (2, []), "batch": (1, ["--batch", str(batch)])}[scope]
    said = f"half a minute; {count} are leased until {local_time(rounded_up(until)):%H:%M}, and"
    assert said in run("smsww_resume", "default", *only)


def test_a_queued_message_waits_for_the_end_of_a_pause(gateway):
    gateway.configure(queue=True)
    run("smsww_pause", "default")
    send_sms("Hello", NUMBER)
    assert (sweep(), gateway.sent) == (0, [])
    run("smsww_resume", "default")
    assert (sweep(), states()) == (1, ["NEW"])


def test_a_pause_reaches_a_sender_at_work_within_one_block(gateway):
    gateway.configure(concurrency=2, queue=True)
    accept, paused = gateway.answer, threading.Event()
    keys = [row.pk for row in send_mass_sms("Hello", NUMBERS[:40])]

    def answer(sms):
        if sms.recipient == NUMBERS[0]:
            from_a_thread(lambda: Suspension.objects.pause("default", ""))
            paused.set()
        assert paused.wait(10)
        return accept(sms)

    gateway.answer = staticmethod(answer)
    deliver(sms_backends["default"], keys, using="default", inline=True)
    assert len(gateway.sent) == 3  # two at once, and the one that stood behind them
    failed = Message.objects.filter(state="FAILED").values_list("error_code", flat=True)
    assert list(failed) == ["suspended"] * 37


def test_a_pause_of_another_environment_holds_nothing(gateway):
    Suspension.objects.pause("default", "staging")
    assert send_sms("Hello", NUMBER).state == "NEW"


def test_an_error_does_not_shorten_a_pause_by_hand(gateway):
    Suspension.objects.pause("default", "", reason="Wrong price list")
    Suspension.objects.impose("default", "", InvalidToken())
    suspension = Suspension.objects.get()
    assert (suspension.until, suspension.reason) == (None, "Wrong price list")


def test_a_blocklisted_account_stays_paused_until_a_person_resumes(gateway):
    accept = gateway.answer
    gateway.answer = raises(InsufficientCredit())
    with pytest.raises(InsufficientCredit):
        send_sms("Hello", NUMBER)
    Suspension.objects.impose("default", "", AccountBlocklisted())
    assert Suspension.objects.get().until is None
    assert Suspension.objects.resume("default", "")
    gateway.answer = staticmethod(accept)
    assert send_sms("Hello", NUMBER).state == "NEW"


def test_who_paused_and_why_is_kept(gateway):
    user = get_user_model().objects.create(username="support")
    suspension = Suspension.objects.pause("default", "", reason="Why", by=user)
    assert (suspension.created_by, suspension.reason) == (user, "Why")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["smsww_pause", "default", "--stop"], "--batch UUID"),
        (["smsww_resume", "default"], "no such suspension"),
        (["smsww_resume", "default", "--text", str(uuid4())], "no message with the reference"),
    ],
)
def test_a_command_that_can_do_nothing_says_why(gateway, arguments, text):
    with pytest.raises(CommandError, match=text):
        run(*arguments)
    assert not Suspension.objects.exists()


# By an error


def test_requests_under_way_together_are_one_reason_to_pause(gateway):
    gateway.answer = raises(InvalidToken())
    send_mass_sms("Hello", NUMBERS[:16])
    assert Suspension.objects.get().times == 1


def test_after_a_refused_token_no_further_request_is_begun(gateway):
    gateway.configure(concurrency=1)
    gateway.answer = raises(InvalidToken())
    rows = send_mass_sms("Hello", NUMBERS[:10])
    assert len(gateway.sent) == 1
    assert {(row.state, row.error) for row in rows} == {("FAILED", "InvalidToken")}
    assert sorted(row.attempts for row in rows) == [0] * 9 + [1]


def test_the_first_refused_content_stops_its_twins_and_no_other_text(gateway):
    gateway.configure(concurrency=1)
    accept = gateway.answer

    def answer(sms):
        if sms.body == "Forbidden":
            raise ContentRefused(code="2044")
        return accept(sms)

    gateway.answer = staticmethod(answer)
    texts = ["Forbidden", "Harmless"] * 5
    rows = send_messages([SMS(text, number) for text, number in zip(texts, NUMBERS, strict=False)])
    assert [sms.body for sms in gateway.sent].count("Forbidden") == 1
    assert [row.state for row in rows] == ["FAILED", "NEW"] * 5
    assert [row.penalty for row in rows if row.penalty] == [1]
    assert not Message.objects.filter(state="FAILED").resendable().exists()


def test_a_text_is_resumed_by_a_message_that_has_it(gateway):
    gateway.answer = raises(ContentRefused(code="2044"))
    with pytest.raises(ContentRefused) as caught:
        send_sms("Approved by now", NUMBER)
    gateway.answer = staticmethod(lambda sms: SendResult(provider_id="a1", state="NEW"))
    run("smsww_resume", "default", "--text", str(caught.value.message.reference))
    assert send_sms("Approved by now", NUMBER).state == "NEW"


def test_an_acceptance_does_not_forgive_a_pause_imposed_meanwhile(gateway):
    past = timezone.now() - timedelta(seconds=1)
    Suspension.objects.create(alias="default", error="InvalidToken", until=past)

    def answer(sms):
        Suspension.objects.impose("default", "", InvalidToken())
        return SendResult(provider_id="a1", state="NEW")

    gateway.answer = staticmethod(answer)
    send_sms("Hello", NUMBER)
    assert (Suspension.objects.get().times, Suspension.objects.get().until > past) == (2, True)


@pytest.mark.parametrize("error", [InvalidToken(), AccountBlocklisted()])
def test_a_pause_is_imposed_though_the_one_before_it_is_being_forgiven(gateway, error):
    past = timezone.now() - timedelta(seconds=1)
    Suspension.objects.create(alias="default", error="InvalidToken", until=past)
    forgiven = []

    def forgive(execute, sql, *args):
        if sql.startswith("UPDATE") and not forgiven:
            forgiven.append(Suspension.objects.all().delete())
        return execute(sql, *args)

    with connection.execute_wrapper(forgive):
        Suspension.objects.impose("default", "", error)
    assert forgiven
    assert Suspension.objects.get().error == type(error).__name__


def test_a_message_that_expires_while_it_is_held_is_failed(gateway):
    gateway.configure(queue=True)
    Suspension.objects.pause("default", "", scope="batch:None")
    message = send_sms("Hello", NUMBER, expires_at=timezone.now() + timedelta(seconds=5))
    assert sweep() == 1
    message.refresh_from_db()
    assert (message.state, message.next_attempt_at) == ("QUEUED", message.expires_at)
    past = timezone.now() - timedelta(seconds=1)
    Message.objects.update(next_attempt_at=past, expires_at=past)
    sweep()
    message.refresh_from_db()
    assert (message.state, message.error_code) == ("FAILED", "expired_unsent")


# Batches


def queued_batch(gateway, numbers):
    gateway.configure(queue=True)
    return send_mass_sms("Hello", numbers)[0].batch


def test_a_paused_batch_waits_while_others_leave(gateway):
    batch = queued_batch(gateway, NUMBERS[:3])
    send_sms("Another", NUMBER)
    run("smsww_pause", "default", "--batch", str(batch))
    sweep()
    assert [sms.body for sms in gateway.sent] == ["Another"]
    run("smsww_resume", "default", "--batch", str(batch))
    Message.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    sweep()
    assert len(gateway.sent) == 4


def test_a_stopped_batch_is_cancelled_with_who_and_why(gateway):
    user = get_user_model().objects.create(username="support")
    batch = queued_batch(gateway, NUMBERS[:3])
    send_sms("Another", NUMBER)
    assert stop_batch("default", "", batch, using="default", by=user, reason="Typo") == 3
    assert (
        list(Message.objects.filter(batch=batch).values_list("state", flat=True))
        == ["CANCELLED"] * 3
    )
    events = Event.objects.filter(kind="cancelled", user=user, reason="Typo")
    assert (events.count(), sweep(), len(gateway.sent)) == (3, 1, 1)


def test_a_stop_reaches_what_a_worker_has_at_hand(gateway):
    batch = queued_batch(gateway, NUMBERS[:40])
    gateway.configure(concurrency=1)
    accept = gateway.answer

    def answer(sms):
        if len(gateway.sent) == 1:
            from_a_thread(lambda: stop_batch("default", "", batch, using="default"))
        return accept(sms)

    gateway.answer = staticmethod(answer)
    sweep()
    assert len(gateway.sent) == 1
    assert Message.objects.filter(state="CANCELLED").count() == 39


def test_a_stop_reaches_what_the_call_has_still_to_write(gateway):
    batch = queued_batch(gateway, NUMBERS[:2])
    run("smsww_pause", "default", "--batch", str(batch), "--stop", "--reason", "Typo")
    later = Message.objects.create(
        alias="default", recipient=NUMBER, batch=batch, expires_at=timezone.now() + timedelta(1)
    )
    deliver(sms_backends["default"], [later.pk], using="default", inline=True)
    later.refresh_from_db()
    assert (later.state, later.events.get().reason, gateway.sent) == ("CANCELLED", "Typo", [])


def test_a_stop_ends_messages_even_while_the_alias_is_paused(gateway):
    batch = queued_batch(gateway, NUMBERS[:1])
    Suspension.objects.pause("default", "")
    Suspension.objects.pause("default", "", scope=f"batch:{batch}", code="stopped")
    message = Message.objects.get()
    deliver(sms_backends["default"], [message.pk], using="default")
    message.refresh_from_db()
    assert message.state == "CANCELLED"


def test_of_two_who_cancel_at_once_one_is_noted(gateway):
    queued_batch(gateway, NUMBERS[:2])
    rows = Message.objects.filter(pk__in=list(Message.objects.values_list("pk", flat=True)))
    assert [rows._cancel(None, "First"), rows._cancel(None, "Second")] == [2, 0]
    assert set(Event.objects.values_list("reason", flat=True)) == {"First"}


def test_what_is_cancelled_twice_has_one_event_and_is_announced_once(gateway):
    heard = []

    def hear(sender, message, state, **kwargs):
        heard.append((message.pk, state))

    queued_batch(gateway, NUMBERS[:2])
    message_state_changed.connect(hear)
    try:
        assert [Message.objects.all().cancel(), Message.objects.all().cancel()] == [2, 0]
    finally:
        message_state_changed.disconnect(hear)
    assert [state for _pk, state in heard] == ["CANCELLED"] * 2
    assert Event.objects.count() == 2


def test_what_has_left_is_not_cancelled(gateway):
    message = send_sms("Hello", NUMBER)
    assert Message.objects.all().cancel() == 0
    message.refresh_from_db()
    assert message.state == "NEW"


# Signs of life


def findings():
    found = run_checks(tags=[Tags.database], databases=["default"])
    return [message for message in found if message.id == "smsww.W010"]


@pytest.mark.parametrize(
    ("waiting", "swept", "warns"),
    [
        (timedelta(minutes=11), None, True),
        (timedelta(minutes=11), timedelta(hours=2), True),
        (timedelta(minutes=11), timedelta(minutes=30), False),
        (timedelta(minutes=9), None, False),
    ],
)
def test_the_check_says_when_rows_wait_and_nobody_sweeps(gateway, waiting, swept, warns):
    gateway.configure(queue=True)
    send_sms("Hello", NUMBER)
    Message.objects.update(next_attempt_at=timezone.now() - waiting)
    if swept:
        Heartbeat.objects.create(name="sweep:default", beat_at=timezone.now() - swept)
    assert bool(findings()) is warns


@pytest.mark.parametrize(("arguments", "asks"), [([], False), (["--database", "default"], True)])
def test_only_a_check_of_the_database_asks_it(gateway, capsys, arguments, asks):
    gateway.configure(queue=True)
    send_sms("Hello", NUMBER)
    Message.objects.update(next_attempt_at=timezone.now() - timedelta(hours=1))
    call_command("check", *arguments)
    assert ("smsww.W010" in capsys.readouterr().err) is asks


def test_a_sweep_leaves_a_sign_of_life_and_not_many(gateway):
    for _ in range(3):
        sweep()
    assert Heartbeat.objects.get(name="sweep:default").times == 1
    Heartbeat.objects.update(beat_at=timezone.now() - timedelta(seconds=11))
    sweep()
    beat = Heartbeat.objects.get(name="sweep:default")
    assert (beat.times, beat.beat_at > timezone.now() - timedelta(seconds=5)) == (2, True)


def test_every_beat_counts_where_that_is_asked():
    for _ in range(3):
        Heartbeat.objects.beat("production", "callbacks")
    assert Heartbeat.objects.get(environment="production").times == 3
