"""Numbers of a staging system: those that get messages, and the one that gets all others'."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from django_smsww import (
    SMS,
    InvalidSMS,
    InvalidSMSBackend,
    SMSRefused,
    SMSUnavailable,
    send_mass_sms,
    send_sms,
)
from django_smsww.backends.handler import sms_backends
from django_smsww.models import Message, Suppression
from django_smsww.sending.api import resend
from django_smsww.testing import sms_callback

from ..conftest import NUMBER, raises

OTHER, PHONE = "+34600000000", "+393335550001"
pytestmark = pytest.mark.django_db(transaction=True)


def work():
    call_command("smsww_worker", "--once", verbosity=0)


def sent_to(gateway):
    return [sms.recipient for sms in gateway.sent]


def test_only_allowed_recipients_get_messages(gateway):
    gateway.configure(allowed_recipients=["+39 333 123-4567"])
    assert send_sms("Hello", NUMBER).state == "NEW"
    with pytest.raises(InvalidSMS, match="Or set redirect_to"):
        send_sms("Hello", OTHER)
    assert sent_to(gateway) == [NUMBER]


def test_mass_send_fails_the_rows_of_other_numbers(gateway):
    gateway.configure(allowed_recipients=[NUMBER])
    first, second = send_mass_sms("Hello", [NUMBER, OTHER])
    assert (first.state, second.state, second.error_code) == ("NEW", "FAILED", "invalid")
    assert "allowed_recipients" in second.error_text
    assert sent_to(gateway) == [NUMBER]


@pytest.mark.parametrize("queue", [False, True])
@pytest.mark.parametrize("key", ["", "once"])
def test_redirected_message_goes_to_the_other_number_on_the_wire_alone(gateway, queue, key):
    gateway.configure(redirect_to="+39 333 555 0001", queue=queue)
    message = send_sms("Hello", NUMBER, key=key)
    work()
    message.refresh_from_db()
    assert sent_to(gateway) == [PHONE]
    assert (message.state, message.recipient, message.redirected_to) == ("NEW", NUMBER, PHONE)


def test_allowed_recipients_get_their_own_messages_and_others_are_redirected(gateway):
    gateway.configure(redirect_to=PHONE, allowed_recipients=[NUMBER])
    rows = send_mass_sms("Hello", [NUMBER, OTHER, PHONE])
    assert [row.redirected_to for row in rows] == [None, PHONE, None]
    assert sorted(sent_to(gateway)) == sorted([NUMBER, PHONE, PHONE])


def test_keys_and_the_do_not_send_list_go_by_the_recipient(gateway):
    gateway.configure(redirect_to=PHONE)
    Suppression.objects.create(recipient=OTHER)
    Suppression.objects.create(recipient=PHONE)
    first = send_sms("Hello", NUMBER, key="once")
    assert send_sms("Hello", NUMBER, key="once") == first
    with pytest.raises(InvalidSMS, match="for another recipient"):
        send_sms("Hello", PHONE, key="once")
    with pytest.raises(InvalidSMS, match="do-not-send list"):
        send_sms("Hello", OTHER)
    assert sent_to(gateway) == [PHONE]


def test_limits_count_the_recipient(gateway):
    gateway.configure(redirect_to=PHONE, max_per_number=(1, 3600))
    assert [send_sms("Hello", number).state for number in (NUMBER, OTHER)] == ["NEW", "NEW"]


def test_resend_is_redirected_by_the_options_of_today(gateway):
    gateway.configure(redirect_to=PHONE)
    usual, gateway.answer = gateway.answer, raises(SMSRefused())
    with pytest.raises(SMSRefused):
        send_sms("Hello", NUMBER)
    gateway.answer = staticmethod(usual)
    gateway.configure()
    again = resend(Message.objects.get())
    assert (again.recipient, again.redirected_to) == (NUMBER, None)
    assert sent_to(gateway) == [PHONE, NUMBER]


def test_redirected_rows_are_resent_to_their_recipients(gateway):
    gateway.configure(redirect_to=PHONE)
    send_sms("Hello", NUMBER)
    sms_callback(Message.objects.get(), "UNDELIVERABLE")
    Message.objects.filter(recipient=NUMBER).resend()
    work()
    assert [row.recipient for row in Message.objects.all()] == [NUMBER, NUMBER]
    assert sent_to(gateway) == [PHONE, PHONE]


def test_options_of_the_worker_count_not_those_of_the_call(gateway):
    gateway.configure(queue=True)
    for number in (NUMBER, OTHER):
        send_sms("Hello", number)
    gateway.configure(allowed_recipients=[NUMBER])
    work()
    [first, second] = Message.objects.order_by("pk")
    assert (first.state, second.state, second.error_code) == ("NEW", "FAILED", "invalid")
    assert sent_to(gateway) == [NUMBER]


def test_row_that_is_tried_again_without_the_option_goes_to_its_recipient(gateway):
    gateway.configure(redirect_to=PHONE, queue=True)
    usual, gateway.answer = gateway.answer, raises(SMSUnavailable())
    send_sms("Hello", NUMBER)
    work()
    assert Message.objects.get().redirected_to == PHONE
    gateway.answer = staticmethod(usual)
    gateway.configure()
    Message.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    work()
    message = Message.objects.get()
    assert (message.state, message.redirected_to) == ("NEW", None)
    assert sent_to(gateway) == [PHONE, NUMBER]


def test_callback_of_a_redirected_message_moves_its_row(gateway):
    gateway.configure(redirect_to=PHONE)
    message = send_sms("Hello", NUMBER)
    sms_callback(message, "DELIVERED")
    message.refresh_from_db()
    assert (message.state, message.recipient) == ("DELIVERED", NUMBER)


def test_preflight_asks_for_the_number_on_the_wire(gateway, monkeypatch):
    monkeypatch.setattr(gateway, "supports_dry_run", True)
    gateway.configure(redirect_to=PHONE)
    send_mass_sms("Hello", [NUMBER, OTHER], preflight=True)
    assert [(sms.recipient, sms.dry_run) for sms in gateway.sent] == [
        (PHONE, True),
        (PHONE, False),
        (PHONE, False),
    ]


def test_route_is_that_of_the_number_on_the_wire(settings):
    options = {"token": "t", "route": "auto", "redirect_to": OTHER, "queue": True}
    settings.SMSWW = {"default": {"OPTIONS": options}}
    assert send_sms("Hello", NUMBER).route == "ES"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"redirect_to": "333 1234567"}, "OPTIONS['redirect_to']: each number must start with"),
        ({"redirect_to": None}, "OPTIONS['redirect_to']: each number must be a string"),
        ({"allowed_recipients": [NUMBER, "x"]}, "OPTIONS['allowed_recipients']: each number must"),
        ({"allowed_recipients": NUMBER}, "must be None or a list of numbers"),
        ({"allowed_recipients": []}, "must be None or a list of numbers"),
    ],
)
def test_option_that_is_no_number_is_refused(gateway, options, text):
    gateway.configure(**options)
    with pytest.raises(InvalidSMSBackend) as caught:
        sms_backends["default"]
    assert text in str(caught.value)
    assert "1234567" not in str(caught.value).replace("+393331234567", "")


def test_national_numbers_have_the_region_of_the_alias(gateway):
    gateway.configure(redirect_to="333 555 0001", allowed_recipients=["333 1234567"], region="IT")
    backend = sms_backends["default"]
    assert (backend.redirect_to, backend.allowed_recipients) == (PHONE, {NUMBER})
    backend.validate(SMS("Hello", OTHER))
