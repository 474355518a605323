"""Rows that left some minutes ago, and what the provider's list says of them."""

import pytest

from django_smsww.models import fingerprint

from ..conftest import NUMBER
from ..support.provider_list import LINE, ListedBackend, ago, entry

OTHER = "+34600000000"


def listed(*entries, **options):
    """Return a backend that lists these entries, the newest first."""
    ordered = sorted(entries, key=lambda one: one.created_at, reverse=True)
    return ListedBackend(*ordered, **options)


def state_of(message):
    message.refresh_from_db()
    return message.state


def reasons(report):
    return list(report.still_unknown.values())


@pytest.fixture
def row(make_message):
    """Return a function that stores a row that was claimed so many minutes ago."""

    def make(state, minutes, **columns):
        columns = {
            "environment": LINE,
            "claimed_at": ago(minutes),
            "created_at": ago(minutes),
            "recipient": OTHER,
            "body": "Another text",
        } | columns
        return make_message(state=state, fingerprint=fingerprint(columns["body"]), **columns)

    return make


@pytest.fixture
def accepted(row):
    """Return a function that stores a row that the provider accepted so many minutes ago."""
    count = iter(range(10_000))

    def make(minutes, state="DELIVERED", **columns):
        columns = {"provider_id": f"a{next(count)}", "total_price": 1} | columns
        return row(state, minutes, **columns)

    return make


@pytest.fixture
def unknown(row):
    def make(minutes=30, **columns):
        return row("UNKNOWN", minutes, **{"recipient": NUMBER, "body": "Hello"} | columns)

    return make


@pytest.fixture
def bracket(accepted):
    """Return the entries of two accepted messages, one after and one before the unknown one."""
    return [entry(accepted(10)), entry(accepted(60))]


@pytest.fixture
def many(accepted):
    """Return a function: the entries of accepted messages, a minute apart, the newest first."""

    def make(count, newest=10):
        return [entry(accepted(newest + number)) for number in range(count)]

    return make
