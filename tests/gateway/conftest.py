"""Each test of the gateway has connections of its own."""

import pytest

from ..support.raw_server import AUTHORITY, own_connections  # noqa: F401


@pytest.fixture
def trusted(monkeypatch):
    """Trust the authority that signed the certificate of "localhost"."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(AUTHORITY))
