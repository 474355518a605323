"""A person settles an unknown outcome, with a reason and once it is certain that it is over."""

import pytest
from django.contrib.auth import get_user_model

from django_smsww.exceptions import InvalidSMS
from django_smsww.models import Event
from django_smsww.reconcile import hold_after_restore, sync

from ..support.provider_list import LINE, ListedBackend, ago, entry

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def person():
    return get_user_model().objects.create(username="ada")


@pytest.fixture
def unknown(make_message):
    def make(minutes=30, state="UNKNOWN", **columns):
        times = {"claimed_at": ago(minutes), "created_at": ago(300)}
        return make_message(state=state, environment=LINE, **times, **columns)

    return make


def state_of(message):
    message.refresh_from_db()
    return message.state


@pytest.mark.parametrize(("sent", "state"), [(True, "PENDING"), (False, "FAILED")])
def test_a_person_settles_with_a_reason(unknown, person, sent, state):
    message = unknown()
    assert message.settle(sent, person, "The recipient says so")
    event = Event.objects.get(message=message)
    assert (state_of(message), event.kind, event.state) == (state, "settled", state)
    assert (event.user, event.reason) == (person, "The recipient says so")


@pytest.mark.parametrize(
    ("columns", "reason", "code"),
    [
        ({}, "  ", "no_reason"),
        ({"minutes": 5}, "A reason", "too_early"),
        ({"provider_id": "p1"}, "A reason", "known"),
    ],
)
def test_without_reason_or_too_early_or_known_it_is_not_settled(
    unknown, person, columns, reason, code
):
    message = unknown(**columns)
    with pytest.raises(InvalidSMS) as caught:
        message.settle(False, person, reason)
    assert (caught.value.code, state_of(message)) == (code, "UNKNOWN")


def test_a_message_that_was_held_just_now_is_not_settled_yet(unknown, person):
    message = unknown(300, state="SENDING")
    hold_after_restore(ListedBackend(), ago(310))
    with pytest.raises(InvalidSMS, match="too early"):
        message.settle(False, person, "A reason")


def test_only_an_unknown_message_is_settled(unknown, person):
    message = unknown(state="QUEUED")
    assert message.settle(False, person, "A reason") is False
    assert (state_of(message), Event.objects.count()) == ("QUEUED", 0)


def test_a_message_taken_as_sent_is_still_found_by_its_reference(unknown, person):
    message, other = unknown(), unknown()
    message.settle(True, person, "A reason")
    sync(ListedBackend(entry(message), entry(other)))
    assert (state_of(message), message.provider_id is None) == ("DELIVERED", False)
