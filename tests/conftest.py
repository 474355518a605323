"""Fixtures that several suites share."""

import gc
import sys
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec

import hypothesis
import pytest
from django.test import TransactionTestCase
from django.utils import timezone

from django_smsww import clock, numbers
from django_smsww.callbacks import refusals
from django_smsww.models import Message
from django_smsww.testing import real_sms

from .support import databases
from .support.backends import KnowingBackend, ScriptedBackend
from .support.sampling import mark_further_cases

NUMBER = "+393331234567"

# The browser's driver is an extra of the developers; `-m browser` without it finds no test.
collect_ignore = [] if find_spec("selenium") else ["browser", "wheel/test_newcomer.py"]

# Thousands of tests are collected, and live as long as the process: nothing of it is garbage.
gc.disable()


def pytest_collection_finish():
    gc.freeze()
    gc.enable()


def pytest_configure(config):
    """Try properties with few examples where slow tests are left out as well."""
    is_full = "not slow" not in config.option.markexpr
    examples = 50 if is_full else 15
    hypothesis.settings.register_profile("smsww", max_examples=examples, deadline=None)
    hypothesis.settings.load_profile("smsww")


EXTERNAL = {"postgresql", "browser", "benchmark", "broker", "gettext", "wheel"}


def pytest_collection_modifyitems(items):
    for item in items:
        if EXTERNAL & {mark.name for mark in item.iter_markers()}:
            item.add_marker("external")
    mark_further_cases(items)


@pytest.fixture(scope="session", autouse=True)
def quick_flush():
    """Keep content types and permissions, which take Django most of the time of a flush."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", databases.empty_tables)
        yield


@pytest.fixture(autouse=True)
def real_backends():
    """Send through the backends that a test sets: those of this suite reach this machine alone."""
    with real_sms():
        yield


@pytest.fixture(autouse=True)
def no_refusals_of_other_tests():
    """Begin without refused callbacks that a door would still have to write down."""
    refusals.unwritten.clear()


@pytest.fixture
def no_extra(monkeypatch):
    """Take the package phonenumbers away."""
    monkeypatch.setitem(sys.modules, "phonenumbers", None)
    numbers.library.cache_clear()
    yield
    numbers.library.cache_clear()


@pytest.fixture(autouse=True)
def server_time(monkeypatch):
    """Let the database have exactly the time of this machine, and be asked for it in no test.

    Its answer lies behind by as long as the machine was busy, so that a row which a test makes due
    "now" is not due yet. And a test may last longer than the second after which it is asked again.
    """
    now, came_at = datetime.now(UTC).replace(tzinfo=None), clock.elapsed()
    monkeypatch.setitem(clock._answers, "default", (now, came_at, came_at))
    monkeypatch.setattr(clock, "_FRESH", 3600)


@pytest.fixture
def make_message(db):
    """Return a function that stores a row in whatever state a test needs."""

    def make(**columns):
        columns = {
            "alias": "default",
            "recipient": NUMBER,
            "body": "Hello",
            "expires_at": timezone.now() + timedelta(days=1),
        } | columns
        return Message.objects.create(**columns)

    return make


@pytest.fixture
def gateway(settings, monkeypatch):
    """Send through a scripted backend: set `gateway.answer`, read `gateway.sent`.

    Options of the alias are set with `gateway.configure(queue=True)`.
    """
    monkeypatch.setattr(ScriptedBackend, "sent", [])
    monkeypatch.setattr(ScriptedBackend, "answer", staticmethod(ScriptedBackend.answer))

    def configure(**options):
        settings.SMSWW = {
            "default": {"BACKEND": "tests.support.backends.ScriptedBackend", "OPTIONS": options}
        }

    ScriptedBackend.configure = staticmethod(configure)
    configure()
    return ScriptedBackend


@pytest.fixture
def provider(settings, monkeypatch):
    """Look messages up at a backend that knows `provider.known` and lists `provider.listed`."""
    for name, empty in (("known", {}), ("listed", []), ("asked", [])):
        monkeypatch.setattr(KnowingBackend, name, empty)
    settings.SMSWW = {"default": {"BACKEND": "tests.support.backends.KnowingBackend"}}
    return KnowingBackend


def raises(error):
    """Return an answer that raises this error."""

    def answer(sms):
        raise error

    return staticmethod(answer)


@pytest.fixture
def new_database(tmp_path):
    """Return the URL of a new, empty database beside the one of the suite, for other processes."""
    with databases.new_database(tmp_path) as url:
        yield url
