"""Each index serves the query that docs/scale.md names for it, on each database."""

import re
from datetime import timedelta
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.db.models import Count
from django.utils import timezone

from django_smsww.admin.filters import needs_attention
from django_smsww.admin.search import find
from django_smsww.models import Callback, Event, Message
from django_smsww.operations.days import created_day
from django_smsww.operations.retention import to_delete
from django_smsww.states import UNDELIVERED, State

from ..support.plans import generic_plan_of, plan_of

GUIDE = (Path(__file__).parents[2] / "docs" / "scale.md").read_text("utf-8")
NOW = timezone.now()
TOKEN, BATCH = UUID(int=1), UUID(int=2)
ROWS = 3_000
STATES = {
    10: State.QUEUED,
    20: State.SENDING,
    30: State.NEW,
    40: State.PENDING,
    50: State.FAILED,
    60: State.UNKNOWN,
}
LEASED = (State.QUEUED, State.SENDING)


@pytest.fixture(scope="module")
def history(django_db_setup, django_db_blocker):
    """Fill the tables so that to read an index is cheaper than to read a table."""
    with django_db_blocker.unblock():
        user = get_user_model().objects.create_user("editor")
        Message.objects.bulk_create((message(n, user) for n in range(ROWS)), 250)
        first, last = Message.objects.order_by("pk").first(), Message.objects.latest("pk")
        Message.objects.filter(pk=last.pk).update(resend_of=first)
        keys = list(Message.objects.values_list("pk", "reference"))
        Callback.objects.bulk_create((callback(n, *key) for n, key in enumerate(keys)), 250)
        Event.objects.bulk_create(
            [event(n, pk, user) for n, (pk, _reference) in enumerate(keys)], 250
        )
        tables = [model._meta.db_table for model in (Message, Callback, Event)]
        # What earlier tests rolled back has left its pages, and an index of them is dear.
        analyze = {"postgresql": "VACUUM (FULL, ANALYZE)", "mysql": "ANALYZE TABLE"}
        with connection.cursor() as cursor:
            for table in tables:
                cursor.execute(f"{analyze.get(connection.vendor, 'ANALYZE')} {table}")
        yield SimpleNamespace(user=user, message=first, reference=first.reference)
        Message.objects.update(resend_of=None)
        for model in (Event, Callback, Message):
            model.objects.all()._raw_delete("default")
        user.delete()


def message(n, user):
    state = STATES.get(n % 100, State.DELIVERED)
    recipient = f"+39333{n:07}"
    return Message(
        alias="default",
        environment="shop",
        state=state,
        recipient=recipient,
        recipient_reversed=recipient[:0:-1],
        body="Your table is booked for Saturday at 20:30, and we are looking forward to it.",
        fingerprint=f"{n:064x}",
        provider_id=f"{n:024x}",
        key=f"order-{n}" if n % 50 == 0 else None,
        tag="otp" if n % 100 == 0 else "",
        batch=BATCH if n % 100 == 3 else None,
        created_by=user if n % 100 == 4 else None,
        dry_run=n % 100 == 5,
        origin="elsewhere" if n % 100 == 7 else "here",
        redirected_to=recipient if n % 100 == 6 else None,
        lease_token=UUID(int=n // 100) if state in LEASED else None,
        created_at=NOW - timedelta(hours=ROWS - n),
        claimed_at=NOW - timedelta(hours=ROWS - n),
        expires_at=NOW + timedelta(days=1),
    )


def callback(n, primary_key, reference):
    received = NOW - timedelta(hours=ROWS - n)
    return Callback(
        message_id=primary_key,
        reference=reference,
        digest=f"{n:064x}",
        received_at=received,
    )


def event(n, primary_key, user):
    user = user if n % 100 == 0 else None
    return Event(message_id=primary_key, kind=Event.Kind.ATTEMPT, user=user)


def of_messages(**columns):
    return lambda history: Message.objects.filter(**columns)


def newest(rows):
    """Return a page of the changelist."""
    return lambda history: rows(history).order_by("-pk")[:50]


QUEUE = {
    "smsww_message_due": [
        lambda history: Message.objects.of("default", "shop").due(NOW)[:250],
    ],
    "smsww_message_lease": [
        lambda history: Message.objects.queued().filter(lease_token=TOKEN),
        lambda history: Message.objects.filter(lease_token=TOKEN, state=State.SENDING),
    ],
    "smsww_message_state": [
        lambda history: Message.objects.filter(state=State.SENDING, lease_until__lt=NOW),
        lambda history: Message.objects.filter(state=State.UNKNOWN).order_by("pk"),
        lambda history: Message.objects.unfinished().values("state"),
        lambda history: Message.objects.free(NOW).filter(expires_at__lte=NOW)[:250],
        lambda history: Message.objects.of("default", "shop").due(NOW).order_by()[:250],
        lambda history: (
            Message.objects.unfinished()
            .annotate(day=created_day())
            .filter(dry_run=False, day__gte=NOW.date() - timedelta(days=30))
            .values_list("day", "state")
            .annotate(Count("pk"))
        ),
    ],
}
"""The queries of workers, of `smsww_sync` and of the statistics."""

OTHERS = {
    "smsww_message_state": [
        newest(of_messages(state=State.UNKNOWN)),
        lambda history: Message.objects.filter(state=State.FAILED).order_by()[:10_001],
        lambda history: Message.objects.filter(needs_attention(NOW)),
        lambda history: Message.objects.filter(state__in=UNDELIVERED).order_by()[:10_001],
    ],
    "smsww_message_tag": [newest(of_messages(tag="otp"))],
    "smsww_message_batched": [of_messages(batch=BATCH)],
    "smsww_message_user": [lambda history: Message.objects.filter(created_by=history.user)],
    "smsww_message_redirected": [of_messages(redirected_to="+393330000006")],
    "smsww_message_elsewhere": [newest(of_messages(origin="elsewhere"))],
    "smsww_message_dry": [newest(of_messages(dry_run=True))],
    "smsww_message_recipient": [
        of_messages(recipient="+393330000007"),
        lambda history: find(Message.objects.all(), "+39333000000", exact=False).rows,
    ],
    "smsww_message_ending": [
        lambda history: Message.objects.filter(
            recipient_reversed__gte="700000", recipient_reversed__lt="700001"
        )
    ],
    "smsww_message_created": [
        of_messages(created_at__gte=NOW - timedelta(days=1)),
        lambda history: to_delete("default", NOW - timedelta(days=120)),
    ],
    "smsww_message_key": [
        of_messages(key="order-50", alias="default", dry_run=False),
        of_messages(key="order-50"),
    ],
    "smsww_message_provider_id": [of_messages(provider_id=f"{7:024x}", alias="default")],
    "Message.reference": [lambda history: Message.objects.filter(reference=history.reference)],
    "Message.resend_of": [lambda history: Message.objects.filter(resend_of=history.message)],
    "smsww_callback_once": [lambda history: Callback.objects.filter(reference=history.reference)],
    "smsww_callback_received": [
        lambda history: Callback.objects.filter(received_at__lt=NOW - timedelta(days=120))
    ],
    "Callback.message": [lambda history: Callback.objects.filter(message=history.message)],
    "Event.message": [lambda history: Event.objects.filter(message=history.message)],
    "Event.user": [lambda history: Event.objects.filter(user=history.user)],
}
"""The queries of the admin, of the callback view, of pruning and of deletions."""

ALSO = {
    "smsww_message_state": {"smsww_message_due"},
    "smsww_message_dry": {"PRIMARY"},  # MariaDB has no partial indexes
}
"""Indexes that serve the same query as well; the database chooses."""


def each_query(*tables):
    return [
        pytest.param(index, query, id=f"{index}-{number}")
        for table in tables
        for index, queries in table.items()
        for number, query in enumerate(queries)
    ]


@cache
def made_indexes():
    """Return our name of each index by the database's: "Event.user" where Django named it."""
    names = {}
    for model in (Message, Callback, Event):
        with connection.cursor() as cursor:
            made = connection.introspection.get_constraints(cursor, model._meta.db_table)
        for name, facts in made.items():
            if not facts["primary_key"] and (facts["index"] or facts["unique"]):
                is_ours = name.startswith("smsww_")
                column = facts["columns"][0].removesuffix("_id")
                names[name] = name if is_ours else f"{model.__name__}.{column}"
    return names


def name_on_sqlite(index):
    """Return the name of a constraint instead of that of the index behind it."""
    if not index.startswith("sqlite_autoindex"):
        return index
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA index_info({index})")
        columns = [column for _number, _place, column in cursor.fetchall()]
    model = {model._meta.db_table: model for model in (Message, Callback)}[index[17:-2]]
    for constraint in model._meta.constraints:
        if list(constraint.fields) == columns:
            return constraint.name
    return f"{model.__name__}.{columns[0].removesuffix('_id')}"


@pytest.mark.django_db
@pytest.mark.parametrize(("index", "query"), each_query(QUEUE, OTHERS))
def test_an_index_serves_its_query(history, index, query):
    rows = query(history)
    plan = plan_of(*rows.query.sql_with_params(), rows.model._meta.db_table)
    known = made_indexes()
    used = {known.get(name) or name_on_sqlite(name) for name in plan.indexes}
    assert used & ({index} | ALSO.get(index, set()))
    assert not plan.is_whole


@pytest.mark.django_db
@pytest.mark.skipif(connection.vendor != "postgresql", reason="prepares statements")
@pytest.mark.parametrize(("index", "query"), each_query(QUEUE))
def test_a_prepared_statement_reads_the_queue_by_the_same_index(history, index, query):
    plan = generic_plan_of(*query(history).query.sql_with_params())
    assert plan.indexes & ({index} | ALSO.get(index, set()))
    assert not plan.is_whole


@pytest.mark.django_db
@pytest.mark.parametrize("constraint", Message._meta.constraints, ids=lambda each: each.name)
def test_the_index_of_a_unique_value_leaves_out_the_rows_without_one(constraint):
    made = str(constraint.create_sql(Message, connection.schema_editor(collect_sql=True)))
    column = connection.ops.quote_name(constraint.fields[0])
    is_partial = made.endswith(f"WHERE {column} IS NOT NULL")
    assert is_partial == connection.features.supports_partial_indexes


@pytest.mark.django_db
def test_the_guide_names_the_query_of_each_index():
    named = re.findall(r"^\| `([\w.]+)` \|", GUIDE.partition("## Each index")[2], re.MULTILINE)
    assert sorted(named) == sorted(QUEUE | OTHERS)
    assert {*made_indexes().values()} == {*named}


@pytest.mark.django_db
def test_a_state_that_is_none_stays_a_parameter():
    sql, params = Message.objects.filter(state="' OR 1=1 --").query.sql_with_params()
    assert params == ("' OR 1=1 --",)
    assert "OR" not in sql.partition("WHERE")[2]
