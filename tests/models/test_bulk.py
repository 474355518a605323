"""Rows that go in by columns, beside the same rows of bulk_create."""

import random
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest
from django.contrib.auth import get_user_model
from django.db import DataError, IntegrityError, connection, models, transaction
from django.db.models import JSONField, Value
from django.utils.safestring import mark_safe

from django_smsww.models import Message
from django_smsww.models.bulk import insert_many
from django_smsww.models.sql import expression, insert_one
from django_smsww.states import State

pytestmark = pytest.mark.django_db

COLUMNS = [field for field in Message._meta.concrete_fields if not field.primary_key]
TEXTS = [
    "",
    "a",
    "NULL",
    "null",
    "{}",
    "1",
    "\"q\" \\ 's' , %s {1,2}",
    "è € 😀",
    mark_safe("<b>"),
    "\n\t",
]
CUSTOM = [
    {},
    {"n": 1},
    {"n": True},
    {"n": 1.0},
    {"n": None, "è": "😀 \\ \" '"},
    {"a": [1, "x", {}]},
    Value(None, JSONField()),
]
NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


def moment(rng, is_aware):
    moment = NOON + timedelta(seconds=rng.choice([0, 0.5, 86400 * 180]))
    zone = rng.choice([UTC, timezone(timedelta(hours=-5))])
    return moment.astimezone(zone) if is_aware else moment.replace(tzinfo=None)


def value_of(field, rng, is_aware):
    """Return a random value of a column whose values may be repeated."""
    kind = field.get_internal_type()
    values = {
        "BooleanField": lambda: rng.random() < 0.5,
        "CharField": lambda: rng.choice(TEXTS)[: field.max_length],
        "TextField": lambda: rng.choice(TEXTS),
        "JSONField": lambda: rng.choice(CUSTOM),
        "UUIDField": lambda: UUID(int=rng.randrange(4), version=4),
        "DateTimeField": lambda: moment(rng, is_aware),
        "DecimalField": lambda: rng.choice([Decimal("0.1"), Decimal("1"), Decimal("12.345678")]),
    }
    if field.null and rng.random() < 0.3:
        return None
    if field.name == "state":
        return rng.choice([State.QUEUED, State.FAILED, "SENT"])
    return values.get(kind, lambda: rng.randrange(3))()


def unique_values(number, users, firsts, rng):
    return {
        "reference": UUID(int=rng.getrandbits(128), version=4),
        "recipient": f"+39333{number:07}",
        "key": rng.choice([None, f"È-{number}"]),
        "provider_id": rng.choice([None, f"id '{number}'"]),
        "created_by_id": rng.choice(users),
        "resend_of_id": rng.choice([None, firsts[number]]),
    }


def random_rows(rng, users, firsts, is_aware):
    count = rng.choice([1, 2, 7])
    rows = [unique_values(number, users, firsts, rng) for number in range(count)]
    for field in COLUMNS:
        if field.attname in rows[0] or field.name == "recipient_reversed":
            continue
        is_equal = rng.random() < 0.5
        same = value_of(field, rng, is_aware)
        for row in rows:
            row[field.attname] = same if is_equal else value_of(field, rng, is_aware)
    return rows


def stored(references):
    """Return all columns as the database has them, with their types, without a converter."""
    read = {"sqlite": "quote({})", "postgresql": "CAST({} AS text)"}.get(connection.vendor, "{}")
    names = [read.format(connection.ops.quote_name(field.column)) for field in COLUMNS]
    wanted = Message.objects.filter(reference__in=references).values_list("pk", flat=True)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {', '.join(names)} FROM django_smsww_message "
            f"WHERE id IN ({', '.join(map(str, wanted))}) ORDER BY id"
        )
        return cursor.fetchall()


def together(rows):
    insert_many(Message, rows, "reference", "default")
    return rows


def one_by_one(rows):
    return [insert_one(row, {}, expression("1 = 1"), "default") for row in rows]


@pytest.mark.parametrize("is_aware", [True, False])
@pytest.mark.parametrize("insert", [together, one_by_one])
def test_each_column_is_as_bulk_create_stores_it(settings, make_message, insert, is_aware):
    settings.USE_TZ = is_aware
    later = moment(random.Random(0), is_aware)
    times = dict.fromkeys(("created_at", "updated_at", "next_attempt_at", "expires_at"), later)
    users = [None, *(get_user_model().objects.create(username=name).pk for name in "ab")]
    firsts = [make_message(**times).pk for _ in range(7)]
    for seed in range(25):
        columns = random_rows(random.Random(seed), users, firsts, is_aware)
        references = [each["reference"] for each in columns]
        ours, theirs = ([Message(**each) for each in columns] for _ in range(2))
        ours = insert(ours)
        found = stored(references)
        assert [Message.objects.get(pk=row.pk).reference for row in ours] == references
        assert not any(row._state.adding for row in ours)
        Message.objects.filter(reference__in=references).delete()
        Message.objects.bulk_create(theirs)
        assert found == stored(references), seed
        Message.objects.filter(reference__in=references).delete()


@pytest.mark.parametrize("changes", [{"tag": "x" * 65}, {"priority": 40_000}])
def test_a_value_that_a_column_does_not_take_is_refused_and_not_cut(changes):
    if connection.vendor == "sqlite":
        pytest.skip("SQLite takes everything")
    rows = [Message(alias="default", recipient="+3933312345", expires_at=NOON) for _ in range(3)]
    for name, value in changes.items():
        setattr(rows[1], name, value)
    with pytest.raises(DataError), transaction.atomic():
        insert_many(Message, rows, "reference", "default")
    assert not Message.objects.exists()


def test_a_row_that_is_there_already_keeps_all_of_them_out(make_message):
    first = make_message()
    rows = [Message(alias="default", recipient="+3933312345", expires_at=NOON) for _ in range(3)]
    rows[1].reference = first.reference
    with pytest.raises(IntegrityError), transaction.atomic():
        insert_many(Message, rows, "reference", "default")
    assert Message.objects.get() == first


def test_no_rows_are_no_statement(django_assert_num_queries):
    with django_assert_num_queries(0):
        insert_many(Message, [], "reference", "default")


def test_no_field_sets_its_time_by_itself():
    """Which `insert_many` relies on."""
    times = [field for field in COLUMNS if isinstance(field, models.DateTimeField)]
    assert not any(field.auto_now or field.auto_now_add for field in times)
