"""Fixtures of the tests of the admin."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from ..support.pages import pages, rows  # noqa: F401
from ..support.people import EVERYTHING, browser_of, staff


@pytest.fixture
def browser(db):
    """The browser of a member of staff with every permission for the history."""
    return browser_of(staff(*EVERYTHING))


@pytest.fixture
def queries():
    """Return a context manager that collects the SQL statements of its block."""
    return CaptureQueriesContext(connection)
