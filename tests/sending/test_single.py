"""One message alone: what holds it back, and what fails, between any two of its statements."""

from contextlib import suppress
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from django_smsww import send_sms, sms_backends
from django_smsww.exceptions import SMSError
from django_smsww.models import Message, Suppression, Suspension, fingerprint
from django_smsww.signals import message_state_changed
from django_smsww.worker.queue import deliver_due
from django_smsww.worker.rate_limit import RateLimit

pytestmark = pytest.mark.django_db(transaction=True)

NUMBER = "+393331234567"
TEXT = "Hello"


def plain():
    send_sms(TEXT, NUMBER)


def keyed():
    send_sms(TEXT, NUMBER, key="a")


def committed():
    with transaction.atomic():
        send_sms(TEXT, NUMBER)


CALLS = (plain, keyed, committed)


class Intruder:
    """Does something just before one of our statements, once; `came_too_late` tells if a row was
    SENDING by then."""

    def __init__(self, act, before):
        self.act, self.before = act, before
        self.count, self.is_busy, self.came_too_late = 0, False, None

    def __call__(self, execute, sql, params, many, context):
        if self.is_busy:
            return execute(sql, params, many, context)
        if self.count == self.before:
            self.is_busy = True
            self.came_too_late = Message.objects.exclude(state="QUEUED").exists()
            self.act()
            self.is_busy = False
        self.count += 1
        return execute(sql, params, many, context)


def suppress_number():
    Suppression.objects.create(recipient=NUMBER)


def pause_alias():
    Suspension.objects.pause("default", "")


def pause_text():
    Suspension.objects.pause("default", "", scope=f"text:{fingerprint(TEXT)}")


def rest():
    RateLimit(sms_backends["default"], "default").back_off(60)


@pytest.mark.parametrize("act", [suppress_number, pause_alias, pause_text, rest])
@pytest.mark.parametrize("call", CALLS)
def test_what_is_there_before_a_row_is_sending_holds_the_message_back(gateway, call, act):
    too_late = []
    for before in range(10):
        for model in (Message, Suppression, Suspension):
            model.objects.all().delete()
        connection.cursor().execute("DELETE FROM django_smsww_counter")
        gateway.sent.clear()
        intruder = Intruder(act, before)
        with connection.execute_wrapper(intruder), suppress(SMSError, ValueError):
            call()
        deliver_due(sms_backends["default"], using="default")
        if intruder.came_too_late is None:  # it makes no more statements
            break
        assert len(gateway.sent) == intruder.came_too_late
        assert not Message.objects.exclude(state="NEW" if gateway.sent else "FAILED").exists()
        too_late.append(intruder.came_too_late)
    assert too_late == sorted(too_late)
    assert too_late[0] is False
    assert too_late[-1] is True


def test_one_that_is_too_late_by_the_time_of_its_claim_does_not_leave(gateway):
    def expire(execute, sql, params, many, context):
        if sql.startswith("UPDATE") and "attempts + 1" in sql:
            Message.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(expire), pytest.raises(SMSError) as caught:
        keyed()
    assert (caught.value.code, gateway.sent) == ("expired_unsent", [])


def test_a_receiver_that_takes_longer_than_the_lease_sends_nothing_under_it(gateway, monkeypatch):
    """The row goes back, and is sent under a new lease."""
    now = [0.0]
    monkeypatch.setattr("django_smsww.worker.worker.elapsed", lambda: now[0])
    monkeypatch.setattr("django_smsww.backends.base.elapsed", lambda: now[0])
    monkeypatch.setattr("django_smsww.models.lease.elapsed", lambda: now[0])

    def dawdle(state, **kwargs):
        if state == "SENDING":
            now[0] += 200
            message_state_changed.disconnect(dawdle)

    message_state_changed.connect(dawdle)
    message = send_sms(TEXT, NUMBER)
    assert (message.state, len(gateway.sent), message.attempts) == ("NEW", 1, 1)


@pytest.mark.parametrize("call", [plain, keyed])
def test_a_receiver_that_is_interrupted_ends_the_row(gateway, call):
    def interrupt(state, **kwargs):
        if state == "SENDING":
            raise KeyboardInterrupt

    message_state_changed.connect(interrupt)
    with pytest.raises(KeyboardInterrupt):
        call()
    message_state_changed.disconnect(interrupt)
    message = Message.objects.get()
    assert (message.state, message.error_code, gateway.sent) == ("FAILED", "interrupted", [])


def test_a_receiver_changes_no_message_on_its_way(gateway):
    def rewrite(message, **kwargs):
        message.body = message.recipient = "other"

    message_state_changed.connect(rewrite)
    message = send_sms(TEXT, NUMBER)
    message_state_changed.disconnect(rewrite)
    assert (gateway.sent[0].body, message.body) == (TEXT, TEXT)
