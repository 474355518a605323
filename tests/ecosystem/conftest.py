"""These tests have settings of their own; `tests/test_ecosystem.py` runs them in a process."""

from __future__ import annotations

import os

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

SETTINGS = "tests.ecosystem.settings"
collect_ignore_glob = [] if os.environ.get("DJANGO_SETTINGS_MODULE") == SETTINGS else ["test_*"]


@pytest.fixture
def user(db):
    return get_user_model().objects.create_user("ada", password="a-pass-word")


@pytest.fixture(autouse=True)
def no_window_ends(monkeypatch):
    """Let the windows of the guards be half over, so that none ends within a test."""
    half = timezone.now().replace(minute=30, second=30)
    monkeypatch.setattr("django_smsww.contrib.code_limits.database_now", lambda using: half)
