"""These tests have settings of their own; `tests/test_ecosystem.py` runs them in a process."""

import os
import re

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

NUMBER = "+393331234567"
LIMITED = r"No new code was sent. You can ask for one in (\d+) seconds?\."
SETTINGS = "tests.ecosystem.settings"
collect_ignore_glob = [] if os.environ.get("DJANGO_SETTINGS_MODULE") == SETTINGS else ["test_*"]


def code_of(sms):
    return re.search(r"\d{6}", sms.body)[0]


@pytest.fixture
def own_template(settings, tmp_path):
    """Return a function that writes a template of the project."""
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    return lambda name, text: (tmp_path / name).write_text(text)


@pytest.fixture
def user(db):
    return get_user_model().objects.create_user("ada", password="a-pass-word")


@pytest.fixture(autouse=True)
def no_window_ends(monkeypatch):
    """Stop the clock in the middle of each limit's window, so that none ends within a test."""
    half = timezone.now().replace(minute=30, second=30)
    monkeypatch.setattr("django_smsww.contrib.code_limits.database_now", lambda using: half)
