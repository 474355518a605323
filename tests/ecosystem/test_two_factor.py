"""Logging in with django-two-factor-auth."""

import re
from datetime import timedelta
from threading import local

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_otp.util import random_hex
from two_factor.middleware import threadlocals
from two_factor.plugins.phonenumber.models import PhoneDevice

from django_smsww import SMSLimited, SMSUnavailable, send_sms
from django_smsww.contrib.code_limits import Guards
from django_smsww.contrib.two_factor import SMSGateway
from django_smsww.models import Counter, Message
from django_smsww.testing import assert_sms_sent
from tests.conftest import raises

from .conftest import LIMITED, NUMBER, code_of


@pytest.fixture
def device(user):
    return PhoneDevice.objects.create(
        user=user, name="default", number=NUMBER, key=random_hex(), method="sms"
    )


def log_in(client, code=""):
    """Enter the password, so that the device sends a code; or enter the code."""
    password = {"auth-username": "ada", "auth-password": "a-pass-word"}
    data = {"token-otp_token": code} if code else password
    data["login_view-current_step"] = "token" if code else "auth"
    return client.post(reverse("two_factor:login"), data)


def end_cooldown(**age):
    Message.objects.update(created_at=timezone.now() - timedelta(**age))
    Counter.objects.filter(scope__startswith="code:cooldown").delete()


def told(response):
    return [str(message) for message in get_messages(response.wsgi_request)]


def test_a_user_logs_in_with_a_code_that_the_row_does_not_keep(device, client):
    log_in(client)
    [sms] = assert_sms_sent(recipient=NUMBER, tag="two-factor")
    message = Message.objects.get()
    assert (message.sensitive, message.body, message.created_by) == (True, "", device.user)
    assert message.expires_at - message.created_at <= timedelta(seconds=151)
    response = log_in(client, code_of(sms))
    assert response.status_code == 302, response.context["wizard"]["form"].errors
    assert client.session["_auth_user_id"] == str(device.user.pk)
    assert client.session["otp_device_id"] == device.persistent_id


def test_a_wrong_code_does_not_log_in(device, client):
    log_in(client)
    code = code_of(assert_sms_sent()[0])
    wrong = str((int(code) + 1) % 10**6).zfill(6)
    assert log_in(client, wrong).status_code == 200
    assert "_auth_user_id" not in client.session


def test_a_user_sets_a_telephone_up(user, client):
    client.force_login(user)
    page = reverse("two_factor:setup")
    client.get(page)

    def enter(step, **fields):
        fields = {f"{step}-{name}": value for name, value in fields.items()}
        return client.post(page, {"setup_view-current_step": step, **fields})

    enter("welcome")
    enter("method", method="sms")
    enter("sms", number=NUMBER)
    code = code_of(assert_sms_sent(recipient=NUMBER)[0])
    assert enter("validation", token=code).status_code == 302
    assert PhoneDevice.objects.get().number.as_e164 == NUMBER


def test_a_second_code_has_to_wait_and_the_seconds_are_told(device, client):
    log_in(client)
    [first] = assert_sms_sent()
    response = log_in(Client())
    assert assert_sms_sent() == [first]
    [text] = told(response)
    assert 50 <= int(re.fullmatch(LIMITED, text)[1]) <= 60
    # The code that is on its way is good in the meantime.
    assert log_in(client, code_of(first)).status_code == 302


def test_after_a_minute_there_is_another_code(device, client):
    log_in(client)
    end_cooldown(seconds=61)
    assert told(log_in(client)) == []
    assert_sms_sent(count=2)


def test_another_message_to_the_number_does_not_count(device, client):
    send_sms("Your table is free.", NUMBER)
    log_in(client)
    assert_sms_sent(tag="two-factor", count=1)


def test_a_number_gets_five_codes_an_hour(device, client):
    for _ in range(6):
        end_cooldown(hours=1)
        response = log_in(client)
    assert re.fullmatch(LIMITED, told(response)[0])
    assert_sms_sent(count=5)


def test_a_user_cannot_have_codes_sent_to_ever_other_numbers(user):
    gateway = SMSGateway()
    for n in range(10):
        gateway.deliver(PhoneDevice(user=user, number=f"+39333123450{n}"), "123456")
    with pytest.raises(SMSLimited) as caught:
        gateway.deliver(PhoneDevice(user=user, number=NUMBER), "123456")
    assert (caught.value.code, caught.value.retry_after > 0) == ("max_per_user", True)
    assert_sms_sent(count=10)


def test_of_two_requests_at_once_one_sends(user, monkeypatch):
    device = PhoneDevice(user=user, number=NUMBER)
    monkeypatch.setattr(Guards, "_wait_for_the_last", lambda *arguments: None)  # no row yet
    SMSGateway().deliver(device, "123456")
    with pytest.raises(SMSLimited, match="cooldown"):
        SMSGateway().deliver(device, "123456")


def test_a_project_has_limits_and_a_text_of_its_own(user, own_template):
    class Gateway(SMSGateway):
        guards = Guards(cooldown=0, max_per_number=None, max_per_user=None)
        template_name = "own.txt"

    own_template("own.txt", "Acme & Co: {{ token }}")
    device = PhoneDevice(user=user, number=NUMBER)
    for n in range(12):
        Gateway().deliver(device, f"{n:06}")
    assert assert_sms_sent()[11].body == "Acme & Co: 000011"
    assert not Counter.objects.exists()


@pytest.fixture
def unavailable(gateway):
    gateway.answer = raises(SMSUnavailable())


@pytest.mark.django_db(transaction=True)
def test_a_gateway_that_is_down_is_told_and_costs_no_place(unavailable, device, client):
    for _ in range(6):
        response = log_in(client)
        assert told(response)[-1] == "The code could not be sent. Try again later."
    assert {counter.used for counter in Counter.objects.all()} == {0}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("missing", ["ThreadLocals", "MessageMiddleware"])
def test_where_nobody_listens_the_error_is_raised(
    unavailable, device, settings, monkeypatch, missing
):
    monkeypatch.setattr(threadlocals, "_thread_locals", local())  # it keeps the last request
    settings.MIDDLEWARE = [path for path in settings.MIDDLEWARE if missing not in path]
    with pytest.raises(SMSUnavailable):
        log_in(Client())
