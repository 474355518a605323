"""Rows that left some minutes ago, and what the provider's list says of them."""

from itertools import count

import pytest
from django.utils import timezone

from django_smsww.models import Message, fingerprint

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


def columns_of(state, minutes, **columns):
    """Return the columns of a row that was claimed so many minutes ago."""
    columns = {
        "environment": LINE,
        "claimed_at": ago(minutes),
        "created_at": ago(minutes),
        "recipient": OTHER,
        "body": "Another text",
    } | columns
    return {"state": state, "fingerprint": fingerprint(columns["body"])} | columns


IDS = count()


def accepted_columns(minutes, state="DELIVERED", **columns):
    columns = {"provider_id": f"a{next(IDS)}", "total_price": 1} | columns
    return columns_of(state, minutes, **columns)


@pytest.fixture
def row(make_message):
    """Return a function that stores a row that was claimed so many minutes ago."""
    return lambda *words, **columns: make_message(**columns_of(*words, **columns))


@pytest.fixture
def accepted(make_message):
    """Return a function that stores a row that the provider accepted so many minutes ago."""
    return lambda *words, **columns: make_message(**accepted_columns(*words, **columns))


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
def many(db):
    """Return a function: the entries of accepted messages, a minute apart, the newest first."""

    def make(size, newest=10):
        ages = range(newest, newest + size)
        more = {"alias": "default", "expires_at": timezone.now()}
        rows = [Message(**more, **accepted_columns(age)) for age in ages]
        return [entry(message) for message in Message.objects.bulk_create(rows)]

    return make
