"""These tests have settings of their own; `tests/test_ecosystem.py` runs them in a process."""

import os

import pytest

from django_smsww import send_mass_sms

SETTINGS = "tests.task_queues.settings"
collect_ignore_glob = [] if os.environ.get("DJANGO_SETTINGS_MODULE") == SETTINGS else ["test_*"]


@pytest.fixture
def queue(gateway, request):
    """The gateway; the default alias uses the task queue of the test's module."""
    gateway.configure(queue=request.module.QUEUE)
    return gateway


@pytest.fixture
def send_300():
    return lambda: send_mass_sms("Hello", [f"+39333{n:07}" for n in range(300)], preflight=False)
