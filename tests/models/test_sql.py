"""Statements that are written by hand, beside the same changes of the ORM."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from django.db import connection
from django.db.models.signals import pre_init
from django.test.utils import CaptureQueriesContext

from django_smsww.models import Message, sql
from django_smsww.models.sql import (
    adapted,
    expression,
    field_of,
    update_and_read,
    update_each,
    written,
)
from django_smsww.states import State

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
CHANGED = {
    "sent_at": [NOON, NOON + timedelta(seconds=1), None],
    "delivered_at": [NOON],
    "tag": ["a", "'%s'", ""],
    "segments": [1, 2, None],
    "price": [Decimal("0.05"), Decimal(1), None],
    "dry_run": [True, False],
    "lease_token": [UUID(int=1), UUID(int=2)],
    "attempts": [1],
}


def update_all(values):
    """Change each of these rows by `update_each`; values are by primary key."""
    changes = ", ".join(f"{name} = %s" for name in CHANGED)
    rows = [
        [*(adapted(field_of(Message, name), row[name], connection) for name in CHANGED), pk]
        for pk, row in values.items()
    ]
    return update_each(Message, changes, "id = %s", rows, "default")


@pytest.mark.parametrize("seed", range(20))
def test_many_updates_write_the_values_of_each_row(make_message, seed):
    rng = random.Random(seed)
    chosen = {name: rng.sample(some, rng.randint(1, len(some))) for name, some in CHANGED.items()}
    keys = [make_message().pk for _ in range(rng.randint(1, 6))]
    values = {pk: {name: rng.choice(some) for name, some in chosen.items()} for pk in keys}
    assert update_all(values) == len(keys)
    for row in Message.objects.filter(pk__in=keys):
        assert {name: getattr(row, name) for name in CHANGED} == values[row.pk]


@pytest.mark.skipif("connection.vendor != 'postgresql'")
def test_a_value_of_all_rows_goes_to_the_database_once(make_message):
    same = {name: some[0] for name, some in CHANGED.items()}
    with CaptureQueriesContext(connection) as queries:
        update_all({make_message().pk: same for _ in range(3)})
    assert queries[-1]["sql"].count("2026-07-01") == 1  # both columns have the same time


@pytest.mark.filterwarnings("ignore:.*naive datetime")
def test_values_reach_the_driver_as_their_fields_write_them():
    values = {**CHANGED, "expires_at": [NOON, NOON.replace(tzinfo=None)]}
    for field, value in (
        (field_of(Message, name), each) for name in values for each in values[name]
    ):
        assert adapted(field, value, connection) == field.get_db_prep_save(value, connection)


def test_constants_of_the_model_and_frequent_values_are_no_parameters():
    values = {"state": State.QUEUED, "origin": "here", "tag": "", "dry_run": True, "priority": 0}
    assert written(Message, values, connection)[1:] == (
        ["'QUEUED'", "'here'", "''", "TRUE", "0"],
        [],
    )
    others = {"state": "'", "tag": "QUEUED", "priority": 2}
    assert written(Message, others, connection)[1:] == (["%s"] * 3, ["'", "QUEUED", 2])


def test_an_expression_makes_no_field_of_its_own():
    assert expression("1").output_field is expression("2").output_field


def contents(row):
    """Return the attributes of a row. Django 6.1 sets `fetch_mode` when it is first read."""
    state = row._state
    mode = getattr(state, "fetch_mode", None)
    return vars(row) | {"_state": (state.db, state.adding, state.fields_cache, mode)}


@pytest.mark.parametrize("has_returning", [True, False])
@pytest.mark.parametrize("has_listeners", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_updated_rows_are_returned_as_they_are_stored(
    make_message, monkeypatch, seed, has_returning, has_listeners
):
    if not has_returning:
        monkeypatch.setattr(sql, "_returns_updated", lambda using: False)
    monkeypatch.setattr(pre_init, "has_listeners", lambda sender: has_listeners)
    rng = random.Random(seed)
    values = {name: rng.choice(some) for name, some in CHANGED.items() if rng.random() < 0.5}
    for _ in range(rng.randint(0, 5)):
        make_message(tag=rng.choice("ab"), priority=rng.choice([1, 2]))
    rows, changes = Message.objects.all(), values | {"priority": expression("priority + 10")}
    chosen = rows.filter(tag="a", priority=1)
    keys = set(chosen.values_list("pk", flat=True))
    updated = update_and_read(chosen, changes, rows.filter(priority=11))
    stored = {row.pk: contents(row) for row in rows.filter(pk__in=keys)}
    assert {row.pk: contents(row) for row in updated} == stored
    assert all(row.priority == 11 for row in updated)
    assert rows.filter(priority__gt=10).count() == len(keys)


def test_no_row_is_updated_where_none_can_be_meant():
    assert update_and_read(Message.objects.none(), {"tag": "a"}, Message.objects.all()) == []
