"""The kit for the tests of a project: what each part of it does."""

import re
from datetime import timedelta

import pytest
from django.test import SimpleTestCase, TestCase, override_settings
from django.utils import timezone

from django_smsww import SMSBackendDoesNotExist, send_sms, sms_backends, test_runs, testing
from django_smsww.backends import dummy, locmem, openapi
from django_smsww.callbacks import parsers
from django_smsww.exceptions import InvalidSMSBackend
from django_smsww.models import Callback, Heartbeat
from django_smsww.signals import message_state_changed
from django_smsww.testing import SMSTestMixin, assert_sms_sent, outbox, real_sms

from .. import settings as settings_file
from ..conftest import NUMBER
from ..support.backends import ScriptedBackend

OTHER = "+34612345678"
DUMMY = {"BACKEND": "django_smsww.backends.dummy.SMSBackend"}
OPENAPI = {"OPTIONS": {"token": "a-token", "callback_url": "https://a.example/x/", "queue": True}}


# What was sent


def test_messages_are_found_by_their_fields(db):
    send_sms("Your code is 493817.", NUMBER, tag="code")
    send_sms("Welcome!", OTHER)
    [sms] = assert_sms_sent(recipient=NUMBER, body=re.compile(r"\b\d{6}\b"), tag="code")
    assert sms.body == "Your code is 493817."
    assert len(assert_sms_sent()) == 2
    assert assert_sms_sent(count=0, recipient="+390000000") == []


@pytest.mark.parametrize(
    "wanted",
    [
        {"recipient": OTHER},
        {"body": "Hell"},
        {"body": re.compile("bye")},
        {"recipient": NUMBER, "body": "Bye"},
        {"count": 0},
        {"count": 2},
        {"sent_using": "alerts"},
        {"custom": re.compile("x")},
    ],
)
def test_what_was_not_sent_is_reported_with_what_was(db, wanted):
    send_sms("Hello", NUMBER)
    with pytest.raises(AssertionError, match=r"In the outbox:\n  \+393331234567 .*'Hello'"):
        assert_sms_sent(**wanted)


def test_an_empty_outbox_is_said():
    with pytest.raises(AssertionError, match=r"at least 1\. In the outbox:\n  nothing"):
        assert_sms_sent()


def test_an_unknown_field_is_a_mistake_of_the_test():
    with pytest.raises(TypeError, match=r"has no to: choose among .*recipient"):
        assert_sms_sent(to=NUMBER)


# Callbacks


@pytest.fixture
def message(db):
    return send_sms("Hello", NUMBER)


@pytest.mark.parametrize("method", ["JSON", "POST"])
def test_a_callback_moves_the_row_through_the_door(message, sms_callback, method):
    answer = sms_callback(message, "DELIVERED", method=method, price=0.05, totalPrice=0.05)
    message.refresh_from_db()
    assert answer.json() == {"outcome": "moved"}
    assert message.state == "DELIVERED"
    assert float(message.total_price) == 0.05
    assert message.delivered_at is not None
    assert Callback.objects.count() == 1


@pytest.mark.parametrize("method", ["JSON", "POST"])
def test_a_forged_callback_is_refused(message, sms_callback, method):
    answer = sms_callback(message, "DELIVERED", method=method, forged=True)
    message.refresh_from_db()
    assert (answer.status_code, answer.json()) == (401, {"error": "not_authentic"})
    assert message.state == "NEW"
    assert not Callback.objects.exists()


def test_a_late_callback_changes_nothing(message, sms_callback):
    sms_callback(message, "DELIVERED", messageCount=2)
    sms_callback(message, "PENDING", at=timezone.now() - timedelta(hours=1), messageCount=1)
    message.refresh_from_db()
    assert (message.state, message.segments) == ("DELIVERED", 2)
    assert Callback.objects.count() == 2


def test_a_repeated_callback_is_counted(message, sms_callback):
    sms_callback(message, "PENDING", times=3)
    assert [row.times for row in Callback.objects.all()] == [3]


def test_a_callback_may_come_before_the_answer_of_the_send(make_message, sms_callback):
    message = make_message(state="UNKNOWN", environment="a.example")
    sms_callback(message, "PENDING")
    sms_callback(message, "DELIVERED")
    message.refresh_from_db()
    assert message.state == "DELIVERED"


def test_receivers_run_within_the_transaction_of_a_test(message, sms_callback):
    heard = []

    def receiver(state, **kwargs):
        heard.append(state)

    message_state_changed.connect(receiver)
    try:
        sms_callback(message, "DELIVERED")
    finally:
        message_state_changed.disconnect(receiver)
    assert heard == ["DELIVERED"]


@pytest.mark.parametrize("wrong", [{"method": "GET"}, {"times": 0}])
def test_a_callback_that_cannot_be_is_a_mistake_of_the_test(message, sms_callback, wrong):
    with pytest.raises(ValueError, match="method must be 'JSON' or 'POST', and times at least 1"):
        sms_callback(message, **wrong)


def test_an_authentic_callback_that_is_refused_fails_the_test(message, sms_callback, monkeypatch):
    monkeypatch.setattr(parsers, "MAX_BYTES", 10)
    with pytest.raises(AssertionError, match="answered with 413"):
        sms_callback(message)


# Every alias at locmem


def test_options_stay_and_those_of_another_backend_go(monkeypatch):
    custom = {"BACKEND": "django_smsww.backends.console.SMSBackend", "OPTIONS": {"stream": None}}
    monkeypatch.setattr(settings_file, "SMSWW", {"other": custom, "alerts": DUMMY})
    with override_settings(SMSWW={"default": OPENAPI, "alerts": DUMMY, "other": custom}):
        assert {type(sms_backends[alias]) for alias in sms_backends} == {locmem.SMSBackend}
        assert sms_backends.default.environment == "a.example"
        assert sms_backends.default.queue is True


@pytest.mark.parametrize(
    ("entry", "match"),
    [
        ({"OPTIONS": {"tokn": "a-token"}}, "Unknown options 'tokn'"),
        ({"BACKEND": "nowhere.SMSBackend", "OPTIONS": {"x": 1}}, "cannot be imported"),
        ({"OPTIONS": 5}, "OPTIONS must be a dict"),
        ("nowhere.SMSBackend", "must be a dict with BACKEND and OPTIONS"),
    ],
)
def test_what_is_wrong_with_an_alias_still_shows(entry, match):
    with (
        override_settings(SMSWW={"default": entry}),
        pytest.raises(InvalidSMSBackend, match=match),
    ):
        _ = sms_backends.default


def resolve(alias):
    return {"tenant": OPENAPI}.get(alias)


resolve.aliases = lambda: ["tenant"]


@pytest.mark.parametrize("setting", [resolve, f"{__name__}.resolve"])
def test_a_resolver_resolves_to_locmem(setting):
    with override_settings(SMSWW=setting):
        assert list(sms_backends) == ["tenant"]
        assert isinstance(sms_backends["tenant"], locmem.SMSBackend)
        with pytest.raises(SMSBackendDoesNotExist):
            _ = sms_backends["stranger"]


def test_a_local_backend_that_a_test_sets_has_the_last_word(settings):
    settings.SMSWW = {"default": DUMMY}
    assert isinstance(sms_backends.default, dummy.SMSBackend)


def test_a_test_that_asks_for_it_sends(settings):
    settings.SMSWW = {"default": OPENAPI}
    with real_sms():
        with real_sms():
            assert isinstance(sms_backends.default, openapi.SMSBackend)
        assert isinstance(sms_backends.default, openapi.SMSBackend)
    assert isinstance(sms_backends.default, locmem.SMSBackend)


# Nothing is left over


def test_refusals_of_a_test_are_not_written_down_by_the_next(message, sms_callback):
    test_runs.start_afresh()
    sms_callback(message, forged=True)
    test_runs.start_afresh()
    sms_callback(message)
    assert not Heartbeat.objects.filter(name__startswith="refused").exists()
    sms_callback(message, forged=True)
    sms_callback(message)
    assert Heartbeat.objects.filter(name="refused:not_authentic").exists()


def test_testing_offers_these_names_alone():
    assert all(getattr(testing, name) is not None for name in testing.__all__)
    with pytest.raises(AttributeError, match="no attribute 'inbox'"):
        _ = testing.inbox


# The mixin


@override_settings(SMSWW={"default": OPENAPI})
class Reminders(SMSTestMixin, TestCase):
    def setUp(self):
        """Do without super().setUp(), as many do."""

    def test_no_override_makes_it_leave(self):
        assert isinstance(sms_backends.default, locmem.SMSBackend)

    @real_sms()
    def test_the_class_has_the_last_word(self):
        assert isinstance(sms_backends.default, openapi.SMSBackend)


class Orders(SMSTestMixin, TestCase):
    def test_a_message_is_sent_and_delivered(self):
        message = send_sms("Hello", NUMBER)
        [sms] = self.assertSMSSent(recipient=NUMBER, body="Hello")
        assert self.smsoutbox == [sms] == outbox
        self.sms_callback(message, "DELIVERED")
        message.refresh_from_db()
        assert message.state == "DELIVERED"

    def test_nothing_is_left_over(self):
        self.assertSMSSent(count=0)
        send_sms("Hello", NUMBER)


class Settings(SMSTestMixin, SimpleTestCase):
    def test_a_test_has_the_last_word(self):
        with self.settings(SMSWW={"default": DUMMY}):
            assert isinstance(sms_backends.default, dummy.SMSBackend)
        assert isinstance(sms_backends.default, locmem.SMSBackend)


class StandIn(ScriptedBackend):
    delivers_on_commit = False


def test_a_stand_in_that_sends_nothing_has_the_last_word(settings):
    settings.SMSWW = {"default": {"BACKEND": f"{__name__}.StandIn"}}
    assert isinstance(sms_backends.default, StandIn)
    settings.SMSWW = {"default": {"BACKEND": "tests.support.backends.ScriptedBackend"}}
    assert isinstance(sms_backends.default, locmem.SMSBackend)
