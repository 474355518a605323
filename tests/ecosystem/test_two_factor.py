"""Logging in with django-two-factor-auth."""

from __future__ import annotations

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
from tests.support.backends import ScriptedBackend

NUMBER = "+393331234567"
LIMITED = r"No other code was sent. You can ask for one in (\d+) seconds?\."


@pytest.fixture
def device(user):
    return PhoneDevice.objects.create(
        user=user, name="default", number=NUMBER, key=random_hex(), method="sms"
    )


@pytest.fixture
def browser():
    return Client()


def log_in(browser, **more):
    """Enter the password, which has a code sent, or go on with more fields."""
    step = "token" if more else "auth"
    names = {"username": "ada", "password": "a-pass-word"} if not more else {}
    data = {"login_view-current_step": step}
    data |= {f"auth-{name}": value for name, value in names.items()} | more
    return browser.post(reverse("two_factor:login"), data)


def code_of(sms):
    return re.search(r"\d{6}", sms.body)[0]


def told(response):
    return [str(message) for message in get_messages(response.wsgi_request)]


def test_a_user_logs_in_with_a_code(device, browser):
    log_in(browser)
    [sms] = assert_sms_sent(recipient=NUMBER, tag="two-factor")
    response = log_in(browser, **{"token-otp_token": code_of(sms)})
    assert response.status_code == 302, response.context["wizard"]["form"].errors
    assert browser.session["_auth_user_id"] == str(device.user.pk)
    assert browser.session["otp_device_id"] == device.persistent_id


def test_a_wrong_code_does_not_log_in(device, browser):
    log_in(browser)
    code = code_of(assert_sms_sent()[0])
    wrong = str((int(code) + 1) % 10**6).zfill(6)
    assert log_in(browser, **{"token-otp_token": wrong}).status_code == 200
    assert "_auth_user_id" not in browser.session


def test_a_user_sets_a_telephone_up(user, browser):
    browser.force_login(user)
    page = reverse("two_factor:setup")
    browser.get(page)
    browser.post(page, {"setup_view-current_step": "welcome"})
    browser.post(page, {"setup_view-current_step": "method", "method-method": "sms"})
    browser.post(page, {"setup_view-current_step": "sms", "sms-number": NUMBER})
    code = code_of(assert_sms_sent(recipient=NUMBER)[0])
    answer = browser.post(page, {"setup_view-current_step": "validation", "validation-token": code})
    assert answer.status_code == 302
    assert PhoneDevice.objects.get().number.as_e164 == NUMBER


def test_the_row_does_not_keep_the_code(device, browser):
    log_in(browser)
    message = Message.objects.get()
    assert (message.sensitive, message.body, message.created_by) == (True, "", device.user)
    assert message.expires_at - message.created_at <= timedelta(seconds=151)


def test_a_second_code_has_to_wait_and_the_seconds_are_told(device, browser):
    log_in(browser)
    [first] = assert_sms_sent()
    response = log_in(Client())
    assert assert_sms_sent() == [first]
    [text] = told(response)
    assert 50 <= int(re.fullmatch(LIMITED, text)[1]) <= 60
    # The code that is on its way is good in the meantime.
    assert log_in(browser, **{"token-otp_token": code_of(first)}).status_code == 302


def test_after_a_minute_there_is_another_code(device, browser):
    log_in(browser)
    Message.objects.update(created_at=timezone.now() - timedelta(seconds=61))
    Counter.objects.filter(scope__startswith="code:cooldown").delete()
    assert told(log_in(browser)) == []
    assert_sms_sent(count=2)


def test_another_message_to_the_number_does_not_count(device, browser):
    send_sms("Your table is free.", NUMBER)
    log_in(browser)
    assert_sms_sent(tag="two-factor", count=1)


def test_a_number_gets_five_codes_an_hour(device, browser):
    for _ in range(6):
        Message.objects.update(created_at=timezone.now() - timedelta(hours=1))
        Counter.objects.filter(scope__startswith="code:cooldown").delete()
        response = log_in(browser)
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


def test_a_project_has_limits_and_a_text_of_its_own(user, settings, tmp_path):
    class Gateway(SMSGateway):
        guards = Guards(cooldown=0, max_per_number=None, max_per_user=None)
        template_name = "own.txt"

    (tmp_path / "own.txt").write_text("Acme & Co: {{ token }}")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    device = PhoneDevice(user=user, number=NUMBER)
    for n in range(12):
        Gateway().deliver(device, f"{n:06}")
    assert assert_sms_sent()[11].body == "Acme & Co: 000011"
    assert not Counter.objects.exists()


@pytest.fixture
def unavailable(settings, monkeypatch):
    """Send through a gateway that cannot be reached."""
    settings.SMSWW = {"default": {"BACKEND": "tests.support.backends.ScriptedBackend"}}
    monkeypatch.setattr(ScriptedBackend, "sent", [])
    monkeypatch.setattr(ScriptedBackend, "answer", raises(SMSUnavailable()))


@pytest.mark.django_db(transaction=True)
def test_a_gateway_that_is_down_is_told_and_costs_no_place(unavailable, device, browser):
    for _ in range(6):
        response = log_in(browser)
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
