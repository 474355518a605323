"""The kit is tested as a project has it."""

import pytest


@pytest.fixture(autouse=True)
def real_backends():
    """Send nothing, unlike the rest of this suite."""
