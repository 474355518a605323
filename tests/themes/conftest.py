"""These tests have settings of their own; `tests/test_ecosystem.py` runs them in a process."""

import os
from importlib.util import find_spec

import pytest

from ..support.pages import pages, rows  # noqa: F401
from ..support.people import EVERYTHING, browser_of, staff

SETTINGS = "tests.themes.settings"
collect_ignore_glob = [] if os.environ.get("DJANGO_SETTINGS_MODULE") == SETTINGS else ["test_*"]
if find_spec("selenium"):
    from ..browser.conftest import chromium, django_db_modify_db_settings  # noqa: F401
else:
    collect_ignore_glob.append("*_browser.py")


@pytest.fixture
def browser(db):
    permissions = ("view_suppression", "add_suppression", "delete_suppression")
    return browser_of(staff(*EVERYTHING, *permissions))
