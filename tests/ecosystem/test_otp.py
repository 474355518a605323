"""The device of django-otp."""

import re
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone, translation
from django_otp import verify_token
from django_otp.forms import OTPTokenForm
from django_otp.models import GenerateNotAllowed

from django_smsww import SMSUnavailable
from django_smsww.backends.handler import sms_backends
from django_smsww.contrib.otp.models import SMSDevice
from django_smsww.models import Counter, Message, Suspension
from django_smsww.numbers import read_number
from django_smsww.testing import assert_sms_sent
from django_smsww.worker.queue import deliver_due
from tests.conftest import raises

from .conftest import LIMITED, NUMBER, code_of


@pytest.fixture
def device(user):
    return SMSDevice.objects.create(user=user, name="phone", number=NUMBER)


def ask(device):
    """Ask for a code and return it."""
    assert device.generate_challenge() == "sent by text message"
    return code_of(assert_sms_sent(recipient=read_number(device.number))[-1])


def end_cooldown(device):
    earlier = device.last_generated_timestamp - timedelta(seconds=61)
    SMSDevice.objects.filter(pk=device.pk).update(last_generated_timestamp=earlier)
    device.refresh_from_db()


def test_a_code_is_sent_and_good_once(device, user):
    code = ask(device)
    assert verify_token(user, device.persistent_id, code) == device
    device.refresh_from_db()
    assert device.last_used_at is not None
    assert verify_token(user, device.persistent_id, code) is None
    ask(device)  # a used code ends the cool-down


def test_of_two_requests_at_once_one_uses_the_code(device):
    code = ask(device)
    both = [type(device).objects.get(pk=device.pk) for _ in range(2)]
    assert sorted(each.verify_token(code) for each in both) == [False, True]


def test_another_device_does_not_take_the_code(device, user):
    other = SMSDevice.objects.create(user=user, name="other", number="+34612345678")
    ask(other)
    assert not other.verify_token(ask(device))


def test_a_wrong_code_is_refused_and_slows_down(device):
    code = ask(device)
    assert not device.verify_token("000000" if code != "000000" else "111111")
    allowed, why = device.verify_is_allowed()
    assert (allowed, why["failure_count"]) == (False, 1)
    assert not device.verify_token(code)  # too soon


def test_a_code_is_too_old_in_the_end(device):
    code = ask(device)
    SMSDevice.objects.update(valid_until=timezone.now())
    device.refresh_from_db()
    assert not device.verify_token(code)


@pytest.mark.parametrize("token", ["", None, 0, "not a code", "\x00", "\ud800"])
def test_what_is_no_code_is_refused(device, token):
    assert not device.verify_token(token)


def test_the_code_is_nowhere_in_clear(device):
    code = ask(device)
    [message] = Message.objects.all()
    device.refresh_from_db()
    assert (message.sensitive, message.scrubbed, message.body) == (True, True, "")
    assert (message.tag, message.created_by) == ("otp", device.user)
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            assert not re.search(rf"\b{code}\b", repr(cursor.fetchall())), table


def test_a_project_can_replace_the_text(device, settings, own_template):
    own_template("code.txt", "{{ site }}: {{ token }} ({{ minutes }} min) <{{ 'x' }}>")
    settings.OTP_SMSWW_BODY_TEMPLATE_PATH = "code.txt"
    device.generate_challenge({"site": "Acme & Co"})
    assert_sms_sent(body=re.compile(r"^Acme & Co: \d{6} \(5 min\) <x>$"))


def test_the_text_of_the_package_fits_into_one_segment(device):
    with translation.override("en"):
        ask(device)
    text = "is your security code. Do not give it to anybody.\nIt is valid for 5 minutes."
    assert assert_sms_sent()[0].body[6:] == f" {text}"
    assert Message.objects.get().segments == 1


def test_a_second_code_has_to_wait_and_the_seconds_are_told(device):
    ask(device)
    told = re.fullmatch(LIMITED, device.generate_challenge())
    assert 55 <= int(told[1]) <= 60
    allowed, why = device.generate_is_allowed()
    assert (allowed, why["reason"]) == (False, GenerateNotAllowed.COOLDOWN_DURATION_PENDING)
    end_cooldown(device)
    ask(device)
    assert_sms_sent(count=2)


def test_the_latest_code_alone_is_good(device):
    first = ask(device)
    end_cooldown(device)
    second = ask(device)
    if first != second:
        assert not device.verify_token(first)
        device.throttle_reset()
    assert device.verify_token(second)


def test_a_number_gets_five_codes_an_hour_whoever_asks(device, django_user_model):
    for spaces in range(5):
        owner = django_user_model.objects.create_user(f"user{spaces}")
        number = NUMBER.replace("3", " 3", spaces)
        ask(SMSDevice.objects.create(user=owner, name="x", number=number))
    told = re.fullmatch(LIMITED, device.generate_challenge())
    assert 1 <= int(told[1]) <= 3600
    device.refresh_from_db()
    assert device.last_generated_timestamp is None
    assert_sms_sent(count=5)


def test_a_limit_leaves_the_last_code_valid(device, settings):
    settings.OTP_SMSWW_MAX_PER_NUMBER = (1, 3600)
    code = ask(device)
    end_cooldown(device)
    assert re.fullmatch(LIMITED, device.generate_challenge())
    assert device.verify_token(code)


def test_a_user_gets_ten_codes_an_hour_wherever_to(user):
    numbers = [f"+3933312345{n}" for n in range(10, 21)]
    devices = [SMSDevice.objects.create(user=user, name="x", number=each) for each in numbers]
    for device in devices[:10]:
        ask(device)
    assert re.fullmatch(LIMITED, devices[10].generate_challenge())
    assert_sms_sent(count=10)


def test_limits_can_be_lifted(device, settings):
    settings.OTP_SMSWW_COOLDOWN_DURATION = 0
    settings.OTP_SMSWW_MAX_PER_NUMBER = settings.OTP_SMSWW_MAX_PER_USER = None
    for _ in range(12):
        ask(device)
    assert not Counter.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_what_was_not_sent_costs_no_place_and_no_time(gateway, device):
    gateway.answer = raises(SMSUnavailable())
    for _ in range(6):
        assert device.generate_challenge() == "The code could not be sent. Try again later."
    assert [counter.used for counter in Counter.objects.all()] == [0, 0]
    Suspension.objects.all().delete()  # six failures in a row pause the alias
    gateway.answer = raises(ValueError)  # nobody knows
    assert "may not arrive" in device.generate_challenge()
    assert re.fullmatch(LIMITED, device.generate_challenge())
    assert [counter.used for counter in Counter.objects.all()] == [1, 1]


def test_of_two_requests_at_once_one_sends(device):
    one, other = SMSDevice.objects.get(), SMSDevice.objects.get()
    ask(one)
    assert other.last_generated_timestamp is None
    assert re.fullmatch(LIMITED, other.generate_challenge())
    assert_sms_sent(count=1)


@pytest.mark.django_db(transaction=True)
def test_a_code_that_waits_too_long_is_not_sent(gateway, device):
    gateway.configure(queue=True)
    device.generate_challenge()
    [message] = Message.objects.all()
    assert message.expires_at == device.valid_until
    Message.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    deliver_due(sms_backends.default, using="default")
    message.refresh_from_db()
    assert (message.state, message.error_code) == ("FAILED", "expired_unsent")
    assert gateway.sent == []


@pytest.mark.django_db(transaction=True)
def test_the_form_of_django_otp_asks_and_verifies(gateway, device, user):
    asked = OTPTokenForm(user, None, {"otp_device": device.persistent_id, "otp_challenge": "1"})
    assert not asked.is_valid()
    assert asked.errors == {"__all__": ["OTP Challenge: sent by text message"]}
    [sms] = gateway.sent  # the transaction of the form is committed
    form = OTPTokenForm(user, None, {"otp_device": device.persistent_id, "otp_token": code_of(sms)})
    assert form.is_valid(), form.errors
    assert user.otp_device == device


@pytest.mark.django_db(transaction=True)
def test_a_rollback_sends_nothing_and_counts_nothing(gateway, device):
    with transaction.atomic():
        device.generate_challenge()
        transaction.set_rollback(True)
    assert (gateway.sent, Counter.objects.exists()) == ([], False)
    device.refresh_from_db()
    assert device.last_generated_timestamp is None


@pytest.mark.django_db
def test_its_migrations_are_complete():
    call_command("makemigrations", "otp_smsww", check=True, dry_run=True, verbosity=0)


@pytest.mark.parametrize("number", ["3331234567", "+39 333", "+39", "", "+abc"])
def test_a_number_must_be_written_in_full(user, number):
    with pytest.raises(ValidationError):
        SMSDevice(user=user, name="x", number=number).full_clean()


def test_a_national_number_needs_the_region_of_its_alias(user, settings):
    settings.SMSWW = {"default": settings.SMSWW["default"] | {"OPTIONS": {"region": "IT"}}}
    device = SMSDevice(user=user, name="x", number="333 1234567")
    device.full_clean()
    device.save()
    assert device.generate_challenge() == "sent by text message"
    assert_sms_sent(recipient="+393331234567")


def test_the_admin_shows_no_digest_and_finds_by_user(device, admin_client):
    ask(device)
    device.refresh_from_db()
    page = admin_client.get(f"/admin/otp_smsww/smsdevice/{device.pk}/change/")
    assert NUMBER in page.text
    assert device.token not in page.text
    found = admin_client.get("/admin/otp_smsww/smsdevice/", {"q": "ada"})
    assert (NUMBER in found.text, "phone" in found.text) == (False, True)
