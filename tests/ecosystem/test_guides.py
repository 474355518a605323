"""The guide to two-factor authentication is true."""

import re

import pytest
from django.conf import settings as project
from django.utils.module_loading import import_string

from django_smsww.contrib.code_limits import Guards
from django_smsww.contrib.otp.conf import DEFAULTS
from django_smsww.contrib.otp.models import SMSDevice
from tests.support import guides


@pytest.fixture
def guide():
    return guides.run("two_factor.md", INSTALLED_APPS=[], MIDDLEWARE=[], urlpatterns=[])


def test_its_settings_are_those_of_this_suite(guide):
    assert {*guide["INSTALLED_APPS"]} <= {*project.INSTALLED_APPS}
    assert {*guide["MIDDLEWARE"]} <= {*project.MIDDLEWARE}
    assert import_string(guide["TWO_FACTOR_SMS_GATEWAY"]) is guide["SMSGateway"]
    assert guide["Gateway"].guards.cooldown == 30


def test_its_device_logs_in(guide, user):
    user.phone = "+393331234567"
    guide["test_the_code_logs_in"](user)


def test_its_user_keeps_one_device_when_the_number_changes(guide, user):
    for user.phone in ("+393331234567", "+34612345678"):
        guide["ask_for_a_code"](user)
    [device] = SMSDevice.objects.filter(user=user)
    assert device.number == user.phone


def test_its_table_has_every_setting_with_its_default():
    text = (guides.DOCS / "two_factor.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(OTP_\w+)` \| `(.*?)` \|", text, re.MULTILINE))
    assert {name: repr(value).replace("'", '"') for name, value in DEFAULTS.items()} == rows


def test_its_limits_are_the_defaults():
    assert Guards() == Guards(cooldown=60, max_per_number=(5, 3600), max_per_user=(10, 3600))
