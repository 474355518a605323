"""The contract that every backend keeps."""

import logging
import threading
import time
from contextlib import nullcontext
from datetime import timedelta

import pytest

from django_smsww import SMS, SendResult
from django_smsww.backends import openapi
from django_smsww.backends.base import BaseSMSBackend, environment_of
from django_smsww.backends.openapi import SMSBackend
from django_smsww.backends.options import POLICY
from django_smsww.clock import elapsed
from django_smsww.exceptions import InvalidSMSBackend, SMSOutcomeUnknown, SMSRefused, SMSUnavailable

from ..conftest import NUMBER
from .conftest import cases, messages


class FakeBackend(BaseSMSBackend):
    """Does with each message what its body names."""

    def __init__(self, **options):
        super().__init__(**options)
        self.started = []
        self.both = threading.Barrier(2, timeout=5)

    def send(self, sms):
        self.started.append(sms.body)
        if sms.body == "together":
            self.both.wait()
        if sms.body == "slow":
            time.sleep(0.05)
        if sms.body == "refused":
            raise SMSRefused(code="2011")
        if sms.body == "bug":
            raise ZeroDivisionError(sms.recipient)
        if sms.body == "interrupt":
            raise KeyboardInterrupt
        return SendResult(provider_id=sms.body)


REFUSED = {
    "'sender'] must be a string": [{"sender": None}],
    "'dry_run'] must be True or False": [{"dry_run": "false"}],
    "'fail_on_multiple_messages'] must be True or False": [{"fail_on_multiple_messages": 1}],
    "'replace_characters'] must be True or False": [{"replace_characters": None}],
    "'max_segments'] must be None or an integer from 1 to 255": [
        {"max_segments": value} for value in (0, 256, True)
    ],
    "'concurrency'] must be an integer from 1 to 64": [{"concurrency": 0}, {"concurrency": "8"}],
    "'queue'] must be True, False or the dotted path": [{"queue": "celery"}, {"queue": None}],
    "'rate_limit'] must be None or a count for a second or a minute": [
        {"rate_limit": value}
        for value in (5, "5", "0/s", "5/h", "-5/m", "1.5/s", "5 / s", "10000000/m")
    ],
    "'environment'] must be at most 64 letters": [
        {"environment": value} for value in ("a b", "x" * 65, "città")
    ],
    "'expires_after'] must be a number of seconds": [{"expires_after": 0}],
    "up to 366 days": [{"expires_after": timedelta(days=367)}],
    "'allowed_countries'] must be None or a list of codes": [
        {"allowed_countries": value} for value in ("IT", [])
    ],
    "'UK' is not such a code": [{"allowed_countries": ["UK"]}, {"region": "uk"}],
    "'region'] must be a code": [{"region": None}],
}


@pytest.mark.parametrize(("options", "text"), cases(REFUSED))
def test_option_that_cannot_be_used_is_refused(options, text):
    with pytest.raises(InvalidSMSBackend) as caught:
        FakeBackend(alias="alerts", **options)
    assert str(caught.value).startswith("SMSWW['alerts']: ")
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("backend", "rules"), [(BaseSMSBackend, POLICY), (SMSBackend, openapi._RULES)]
)
def test_a_default_is_valid_and_is_not_checked_each_time(monkeypatch, backend, rules):
    for name in {*rules} - {"token"}:  # which has no valid default
        assert rules[name][0](backend.__init__.__kwdefaults__[name])
        monkeypatch.setitem(rules, name, (None, ""))
    backend(**{"token": "t"} if "token" in rules else {})


def test_options_are_checked_although_a_tool_wraps_the_backend(monkeypatch):
    init = BaseSMSBackend.__init__
    monkeypatch.setattr(BaseSMSBackend, "__init__", lambda self, **options: init(self, **options))
    with pytest.raises(InvalidSMSBackend):
        BaseSMSBackend(concurrency=0)


@pytest.mark.parametrize("value", [90, timedelta(seconds=90)])
def test_lifetime_is_seconds_or_a_timedelta(value):
    assert FakeBackend(expires_after=value).expires_after == timedelta(seconds=90)


@pytest.mark.parametrize(
    ("option", "asked", "result"),
    [(True, None, True), (True, False, False), (False, None, False), (False, True, True)],
)
def test_prepare_fills_in_the_defaults_of_the_alias(option, asked, result):
    backend = FakeBackend(sender="Acme", dry_run=option, fail_on_multiple_messages=option)
    sms = SMS("Hello", NUMBER, dry_run=asked, fail_on_multiple_messages=asked)
    prepared = backend.prepare(sms)
    assert (prepared.sender, prepared.reference) == ("Acme", sms.reference)
    assert backend.prepare(sms.replace(sender="Other")).sender == "Other"
    assert prepared.dry_run is prepared.fail_on_multiple_messages is result


def test_prepare_replaces_characters_only_when_asked():
    sms = SMS("“Hello”", NUMBER)
    assert FakeBackend().prepare(sms).body == "“Hello”"
    assert FakeBackend(replace_characters=True).prepare(sms).body == '"Hello"'


def test_results_stand_in_the_order_of_the_messages():
    results = FakeBackend().send_messages(messages("slow", "second", "slow", "fourth"))
    assert [result.provider_id for result in results] == ["slow", "second", "slow", "fourth"]
    assert FakeBackend().send_messages([]) == []


def test_messages_are_on_their_way_at_the_same_time():
    results = FakeBackend().send_messages(messages("together", "together"))
    assert [result.error for result in results] == [None, None]  # neither waited in vain


def test_concurrency_bounds_the_messages_under_way():
    backend = FakeBackend(concurrency=1)
    backend.both = threading.Barrier(2, timeout=0.05)
    results = backend.send_messages(messages("together", "together"))
    assert all(isinstance(result.error, SMSOutcomeUnknown) for result in results)


@pytest.mark.parametrize("companions", [(), ("another",)])
def test_raised_error_becomes_the_result(companions):
    first, *others = FakeBackend().send_messages(messages("refused", *companions))
    assert (type(first.error), first.error.code) == (SMSRefused, "2011")
    assert [other.provider_id for other in others] == list(companions)


@pytest.mark.parametrize("companions", [(), ("another",)])
def test_unexpected_error_leaves_the_outcome_unknown(companions, caplog):
    sms = SMS("bug", NUMBER)
    with caplog.at_level(logging.DEBUG):
        result, *_ = FakeBackend(alias="alerts").send_messages([sms, *messages(*companions)])
    assert isinstance(result.error, SMSOutcomeUnknown)
    assert str(sms.reference) in caplog.text
    assert "ZeroDivisionError" in caplog.text
    assert NUMBER not in caplog.text + str(result.error) + repr(result)


@pytest.mark.parametrize("companions", [0, 1, 200])
def test_interrupt_ends_the_sending(companions):
    backend = FakeBackend(concurrency=2)
    with pytest.raises(KeyboardInterrupt):
        backend.send_messages(messages("interrupt", *["slow"] * companions))
    assert len(backend.started) < 100


@pytest.mark.parametrize("count", [1, 3])
def test_nothing_starts_after_the_deadline(count):
    backend = FakeBackend()
    results = backend.send_messages(messages(*["late"] * count), deadline=elapsed())
    assert backend.started == []
    assert [type(result.error) for result in results] == [SMSUnavailable] * count
    assert {result.error.code for result in results} == {"not_started"}


def test_what_started_before_the_deadline_is_finished():
    class Lasting(FakeBackend):
        def send(self, sms):
            time.sleep(max(0, deadline - elapsed()))
            return SendResult(provider_id="late")

    deadline = elapsed() + 0.5
    sent = Lasting(concurrency=1).send_messages(messages("one", "two"), deadline=deadline)
    assert sent[0].provider_id == "late"
    assert sent[1].error.code == "not_started"


def test_backend_without_look_ups_says_so():
    asking = type("Asking", (FakeBackend,), {"fetch": lambda self, provider_id: None})
    assert not FakeBackend().supports_fetch
    assert asking().supports_fetch
    assert not asking().supports_fetch_page


@pytest.mark.parametrize("is_broken", [False, True])
def test_context_manager_opens_and_closes_also_if_opening_fails(is_broken):
    class Opening(FakeBackend):
        def open(self):
            self.started.append("open")
            if is_broken:
                raise ZeroDivisionError

        def close(self):
            self.started.append("close")

    backend = Opening()
    with pytest.raises(ZeroDivisionError) if is_broken else nullcontext(), backend:
        assert backend.started == ["open"]
    assert backend.started == ["open", "close"]


@pytest.mark.parametrize(
    ("url", "environment"),
    [
        *(("https://example.com/sms/callback/", "example.com"), ("http://[::1]:8000/", "::1")),
        ("https://città.example/", "xn--citt-3na.example"),
        *((url, "") for url in ("https://[broken/", "", None)),
    ],
)
def test_environment_is_the_host_of_the_callback_url(url, environment):
    assert environment_of(url) == environment
