"""The database fails between any two statements of a call: if that raises, nothing leaves later."""

import time
from contextlib import contextmanager, suppress
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import DatabaseError, DataError, OperationalError, connection, transaction
from django.db.models import F

from django_smsww import (
    SMS,
    InvalidSMS,
    SMSError,
    SMSOutcomeUnknown,
    SMSUnavailable,
    iter_send,
    send_mass_sms,
    send_messages,
    send_sms,
)
from django_smsww.models import Heartbeat, Message
from django_smsww.models.lease import SECONDS
from django_smsww.sending.api import resend
from django_smsww.worker import results

from ..conftest import NUMBER, raises

pytestmark = pytest.mark.django_db(transaction=True)
TIMES = ("created_at", "updated_at", "next_attempt_at", "expires_at", "claimed_at", "lease_until")


class Fault:
    """Let statement `number` fail, and all that follow if it lasts."""

    def __init__(self, number, *, lasts):
        self.number, self.lasts, self.count = number, lasts, 0

    def __call__(self, execute, sql, *args):
        self.count += 1
        if self.count == self.number or (self.lasts and self.count > self.number):
            raise OperationalError("the server went away")
        return execute(sql, *args)


def pass_time(**span):
    """Let so much time have passed for all rows, and the worker and the sync run."""
    Message.objects.update(**{name: F(name) - timedelta(**span) for name in TIMES})
    Heartbeat.objects.all().delete()
    call_command("smsww_worker", "--once")
    call_command("smsww_sync")


def resend_one():
    row = Message.objects.create(
        state="EXPIRED",
        alias="default",
        recipient=NUMBER,
        body="Hello",
        expires_at="2030-01-01T00:00Z",
    )
    return lambda: resend(row)


def repeat_key(gateway):
    """Return a call with the key of a row that certainly was not sent."""
    accept, gateway.answer = gateway.answer, raises(SMSUnavailable())
    with pytest.raises(SMSUnavailable):
        send_sms("Hello", NUMBER, key="k")
    gateway.answer = staticmethod(accept)
    gateway.sent.clear()
    return lambda: send_sms("Hello", NUMBER, key="k")


CALLS = {
    "alone": lambda gateway: lambda: send_sms("Hello", NUMBER),
    "key": lambda gateway: lambda: send_sms("Hello", NUMBER, key="k"),
    "repeated key": repeat_key,
    "resend": lambda gateway: resend_one(),
    "many": lambda gateway: lambda: send_mass_sms("Hello", [NUMBER, "+34600000000"], key="k"),
}


def faults(gateway, call, lasts):
    """Yield a call and its fault for each statement, until no fault is left to be met."""
    fault = None
    while fault is None or fault.count >= fault.number:
        Message.objects.all().delete()
        gateway.sent.clear()
        fault = Fault(fault.number + 1 if fault else 1, lasts=lasts)
        yield CALLS[call](gateway), fault


def error_of(call, fault):
    try:
        with connection.execute_wrapper(fault):
            call()
    except (SMSError, DatabaseError) as error:
        return error
    return None


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(results, "FLUSH_SECONDS", 0.001)


@pytest.mark.parametrize("lasts", [False, True])
@pytest.mark.parametrize("call", CALLS)
def test_after_a_call_that_raises_nothing_leaves(gateway, call, lasts):
    for send, fault in faults(gateway, call, lasts):
        error, sent = error_of(send, fault), len(gateway.sent)
        if isinstance(error, DatabaseError) and call != "many":
            assert sent == 0
        if error is None:
            assert sent == (2 if call == "many" else 1)
        pass_time(seconds=3 * SECONDS)
        assert len(gateway.sent) == sent, (fault.number, error)
        left = set(Message.objects.exclude(state="EXPIRED").values_list("state", flat=True))
        assert left <= {"FAILED", "UNKNOWN", "NEW"}, fault.number
        assert "NEW" not in left or sent


@pytest.mark.parametrize("lasts", [False, True])
def test_a_call_that_repeats_the_key_of_one_that_raised_sends_it(gateway, lasts):
    for send, fault in faults(gateway, "key", lasts):
        if isinstance(error_of(send, fault), DatabaseError):
            row = send()
            if row.lease_token is None:
                assert row.state == "NEW"
                assert len(gateway.sent) == 1
            pass_time(seconds=3 * SECONDS)
            state = Message.objects.get().state
            assert (state, len(gateway.sent)) in [("NEW", 1), ("UNKNOWN", 0)]


@pytest.mark.parametrize("lasts", [False, True])
def test_what_may_have_left_is_returned_or_said_to_be_unknown(gateway, lasts):
    """An error of the database says that nothing was sent, so this is none."""
    met = set()
    for send, fault in faults(gateway, "alone", lasts):
        error = error_of(send, fault)
        if gateway.sent and error:
            assert (type(error), error.code) == (SMSOutcomeUnknown, "not_stored")
            assert error.message.reference == gateway.sent[0].reference
        met |= {type(error)} if gateway.sent else set()
    assert met == ({type(None), SMSOutcomeUnknown} if lasts else {type(None)})


@contextmanager
def lost_answer():
    """Let the row be inserted and the INSERT look as if it had failed."""

    def without_answer(execute, sql, *args):
        answer = execute(sql, *args)
        if sql.startswith("INSERT INTO") and "smsww_message" in sql.split("(")[0]:
            raise OperationalError("the connection broke")
        return answer

    with connection.execute_wrapper(without_answer):
        yield


def test_a_row_whose_commit_was_not_acknowledged_does_not_leave(gateway):
    with lost_answer(), pytest.raises(OperationalError):
        send_sms("Hello", NUMBER)
    pass_time(seconds=3 * SECONDS)
    # SQLite undoes a statement whose rows were not read.
    rows = set(Message.objects.values_list("state", "error", "error_code"))
    assert rows <= {("FAILED", "SMSUnavailable", "interrupted")}
    assert rows or connection.vendor == "sqlite"
    assert gateway.sent == []


@pytest.mark.parametrize("hook", [False, True])
def test_a_queued_call_takes_over_the_row_of_a_call_that_raised(gateway, hook):
    with lost_answer(), pytest.raises(OperationalError):
        send_sms("Hello", NUMBER, key="k")
    if hook:
        with transaction.atomic():
            send_sms("Hello", NUMBER, key="k")
    else:
        send_sms("Hello", NUMBER, key="k", queue=True)
        call_command("smsww_worker", "--once")
    assert (Message.objects.get().state, len(gateway.sent)) == ("NEW", 1)


def test_rows_of_a_reader_who_is_slower_than_the_lease_are_sent(gateway, monkeypatch):
    monkeypatch.setattr("django_smsww.models.lease.SECONDS", 0.4)
    gateway.configure(concurrency=1)
    rows = iter_send(SMS("Hello", f"+39333{n:07}") for n in range(60))
    next(rows)
    time.sleep(0.5)
    call_command("smsww_worker", "--once")
    assert len(gateway.sent) < 60
    assert {row.state for row in rows} == {"NEW"}
    assert len(gateway.sent) == 60


@pytest.mark.parametrize("error", [DataError, OperationalError])
@pytest.mark.parametrize("queue", [False, True])
def test_a_message_that_the_database_refuses_loses_none_of_the_others(gateway, error, queue):
    """Such as one with an emoji, where the tables are of three-byte utf8."""

    def refuse(execute, sql, params, many, context):
        if sql.startswith("INSERT") and "poison" in str(params):
            raise error
        return execute(sql, params, many, context)

    texts = [SMS("poison" if n == 30 else "Hello", f"+39333{n:07}") for n in range(60)]
    with connection.execute_wrapper(refuse):
        rows = send_messages(texts, queue=queue)
    call_command("smsww_worker", "--once")
    assert [row.recipient for row in rows] == [sms.recipient for sms in texts]
    states = Message.objects.order_by("recipient").values_list("state", "error_code")
    assert list(states) == [("FAILED", "not_stored") if n == 30 else ("NEW", "") for n in range(60)]
    assert len(gateway.sent) == 59


@pytest.mark.parametrize("send", [send_sms, lambda *given: send_messages([SMS(*given)])[0]])
def test_a_text_that_the_database_refuses_has_a_row_without_it(gateway, send):
    def refuse(execute, sql, params, many, context):
        if sql.startswith("INSERT") and "poison" in str(params):
            raise DataError("poison")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(refuse), suppress(InvalidSMS):
        send("poison", NUMBER)
    row = Message.objects.get()
    assert (row.state, row.error_code, row.recipient, row.body) == (
        "FAILED",
        "not_stored",
        NUMBER,
        "",
    )
    assert row.error_text == "The database refused the message (DataError); nothing was sent"


def test_a_sweep_from_the_future_keeps_no_interrupted_row_waiting(gateway):
    """A clock that was set forward for a moment has left a heartbeat of tomorrow."""
    row = Message.objects.create(
        state="QUEUED", alias="default", recipient=NUMBER, body="Hello",
        expires_at="2030-01-01T00:00Z", next_attempt_at="2030-01-01T00:00Z",
    )  # fmt: skip
    Message.objects.update(updated_at=F("updated_at") - timedelta(seconds=3 * SECONDS))
    tomorrow = row.created_at + timedelta(days=1)
    Heartbeat.objects.create(name="sweep:default", beat_at=tomorrow)
    call_command("smsww_worker", "--once")
    row.refresh_from_db()
    assert (row.state, row.error_code, gateway.sent) == ("FAILED", "interrupted", [])
    assert Heartbeat.objects.get().beat_at < tomorrow
