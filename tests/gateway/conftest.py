"""Each test of the gateway has connections of its own."""

import pytest

from django_smsww.gateway import network

from ..support.raw_server import AUTHORITY, own_connections  # noqa: F401


@pytest.fixture
def trusted(monkeypatch):
    """Trust the authority that signed the certificate of "localhost"."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(AUTHORITY))


@pytest.fixture
def beyond(monkeypatch):
    """Let "localhost" stand for another machine, since no other name has a certificate."""
    monkeypatch.setattr(network, "is_loopback", lambda name: False)
