"""These tests have settings of their own; `tests/test_ecosystem.py` runs them in a process."""

from __future__ import annotations

import os

import pytest

SETTINGS = "tests.engines.settings"
collect_ignore_glob = [] if os.environ.get("DJANGO_SETTINGS_MODULE") == SETTINGS else ["test_*"]


@pytest.fixture
def numbers():
    return [f"+39333{n:07}" for n in range(300)]
