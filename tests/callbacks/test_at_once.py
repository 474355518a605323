"""The one statement of PostgreSQL, its portable twin, and two connections that race."""

import threading
from datetime import timedelta
from functools import partial
from unittest import mock
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.test import TestCase
from hypothesis import example, given, settings
from hypothesis import strategies as st

from django_smsww import SendResult
from django_smsww.callbacks import recording
from django_smsww.models import Callback, Message
from django_smsww.signals import message_sent, message_state_changed

from ..support.door import ENVIRONMENT, hear, mark, post
from .test_properties import NOON, STEPS, Said

IDS = {"own": "own-1", "none": "", "twin": "twin-1", "stray": "stray-1"}
UNLIKE = ("id", "reference", "environment", "message_id", "digest", "payload")
"""Columns in which two rows with the same history differ."""

minutes = st.none() | st.integers(0, 2)
sayings = st.builds(
    Said,
    word=st.sampled_from([*STEPS, *STEPS, "SHREDDED", ""]),
    minute=minutes,
    price=st.sampled_from([None, 0, "0.05"]),
    country=st.sampled_from([None, "IT"]),
    delivered=minutes,
    owner=st.sampled_from(["own", "own", "own", "none", "twin", "stray"]),
)
few_sayings = st.lists(sayings, min_size=2, max_size=4)
sequences = few_sayings.flatmap(
    lambda few: st.lists(st.sampled_from(few), min_size=2, max_size=8)  # some come twice
)
starts = st.sampled_from(["SENDING", "UNKNOWN", "FAILED", "NEW", "NEW", "PENDING", "EXPIRED"])
rows = st.fixed_dictionaries(
    {
        "state": starts,
        "sensitive": st.booleans(),
        "dry_run": st.sampled_from([False] * 5 + [True]),
        "provider_id": st.sampled_from([None, IDS["own"]]),
    }
)


def say(word, owner="own"):
    return Said(word, None, None, None, None, owner)


class Twin:
    """A message in an environment of its own, beside another one that has an id already."""

    def __init__(self):
        self.environment, self.reference, self.heard = uuid4().hex, uuid4(), []
        self.create(provider_id=IDS["twin"])

    def create(self, **columns):
        return Message.objects.create(
            alias="default",
            environment=self.environment,
            recipient="+393331234567",
            body="Hello",
            created_at=NOON,
            updated_at=NOON,
            next_attempt_at=NOON,
            expires_at=NOON,
            **columns,
        )

    def hear(self, said):
        """Post the callback; return the answer."""
        message = Message(reference=self.reference, environment=self.environment)
        payload = {"data": said.document(IDS), "custom": mark(message)}
        with TestCase.captureOnCommitCallbacks(execute=True):
            return post(payload).json()

    def receive(self, signal, message, state, **kwargs):
        if message.reference == self.reference:
            self.heard.append((signal, state, message.state, message.price))

    def history(self):
        """Return all that the callbacks have left: in the rows, in the ledger, with receivers."""
        rows = Message.objects.filter(environment=self.environment).order_by("pk")
        kept = Callback.objects.filter(reference=self.reference).order_by("pk")
        named = [entry.message_id is None for entry in kept]
        return [*map(alike, rows.values()), *map(alike, kept.values()), named, self.heard]


def alike(values):
    return {name: value for name, value in values.items() if name not in UNLIKE}


@pytest.mark.django_db
@pytest.mark.skipif(connection.vendor != "postgresql", reason="the others have one way alone")
@mock.patch.object(recording, "MAX_CALLBACKS", 3)
@settings(database=None)
@given(rows, st.sampled_from([0, 0, 1, 2]), sequences)
@example({"state": "NEW", "provider_id": "own-1"}, 0, [say("PENDING"), say("DELIVERED", "stray")])
@example({"state": "NEW"}, 0, [say("DELIVERED", "twin")])
@example({"state": "SENDING", "dry_run": True}, 0, [say("DELIVERED")])
@example({"state": "SENDING", "sensitive": True}, 0, [say("PENDING"), say("DELIVERED")])
@example({"state": "UNKNOWN"}, 1, [say("NEW")] * 2)
def test_both_ways_leave_the_same(columns, born, sequence):
    """Two rows, restored from a backup after so many callbacks, hear the same."""
    one, other = twins = Twin(), Twin()
    for twin in twins:
        message_sent.connect(twin.receive)
        message_state_changed.connect(twin.receive)
    for number, said in enumerate(sequence):
        now = NOON + timedelta(hours=1, minutes=number)
        with mock.patch("django.utils.timezone.now", return_value=now):
            if number == born:
                for twin in twins:
                    twin.create(reference=twin.reference, **columns)
            answer = one.hear(said)
            with mock.patch.object(recording, "_is_moved_at_once", return_value=False):
                assert other.hear(said) == answer
        assert one.history() == other.history()


@pytest.mark.django_db(transaction=True)
def test_a_callback_that_came_before_its_row_moves_it_once_it_is_there(make_message):
    message = make_message(environment=ENVIRONMENT, state="SENDING")
    stored = Message.objects.filter(pk=message.pk)
    values = stored.values().get()
    stored.delete()
    assert hear(message, "DELIVERED") == "no_row"
    Message.objects.create(**values)
    assert hear(message, "DELIVERED") == "moved"
    entry = stored.get().callbacks.get()
    assert (stored.get().state, entry.outcome, entry.times) == ("DELIVERED", "moved", 2)


@pytest.mark.django_db(transaction=True)
def test_an_id_that_another_row_has_is_a_mismatch(make_message):
    make_message(environment=ENVIRONMENT, state="NEW", provider_id="provider-1")
    message = make_message(environment=ENVIRONMENT, state="SENDING")
    assert hear(message, "DELIVERED", id="provider-1") == "mismatch"
    message.refresh_from_db()
    assert (message.state, message.callbacks.get().outcome) == ("SENDING", "mismatch")


# Two connections


def hear_in_thread(message, state, answers):
    try:
        answers.append(hear(message, state))
    finally:
        connection.close()


def deliver(message):
    assert hear(message, "DELIVERED") == "moved"


def answer(message):
    message.accept(SendResult(provider_id="provider-1", state="NEW"))


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="its test database has one connection")
@pytest.mark.parametrize(
    ("first", "outcome", "times", "changes"),
    [(deliver, "stood", 2, ["DELIVERED"]), (answer, "moved", 1, ["NEW", "DELIVERED"])],
)
def test_a_callback_that_waits_for_another_connection_sees_what_it_did(
    make_message, first, outcome, times, changes
):
    message, answers, heard = make_message(environment=ENVIRONMENT, state="SENDING"), [], []
    receivers = {signal: partial(note, heard) for signal in (message_sent, message_state_changed)}
    for signal, receiver in receivers.items():
        signal.connect(receiver)
    second = threading.Thread(target=hear_in_thread, args=(message, "DELIVERED", answers))
    with transaction.atomic():
        first(message)
        second.start()
        second.join(0.3)
        assert second.is_alive()  # it waits for our commit
    second.join(10)
    entry = message.callbacks.get()
    assert (answers, entry.times, entry.outcome) == ([outcome], times, "moved")
    # Each connection sends its signals after its own commit, in either order.
    told = [state for signal, state in heard if signal is message_state_changed]
    assert sorted(told) == sorted(changes)
    assert [signal for signal, _ in heard].count(message_sent) == 1


def note(heard, signal, state, **kwargs):
    heard.append((signal, state))


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="its test database has one connection")
def test_equal_callbacks_at_the_same_moment_move_once_and_are_all_counted(make_message):
    message, answers = make_message(environment=ENVIRONMENT, state="NEW"), []
    threads = [
        threading.Thread(target=hear_in_thread, args=(message, "DELIVERED", answers))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    entry = message.callbacks.get()
    assert sorted(answers) == ["moved", *["stood"] * 5]
    assert (entry.times, entry.outcome) == (6, "moved")
