"""The table of moves, tried pair by pair through `advance()`."""

import pytest
from django.utils import timezone

from django_smsww.models import Message, Outcome
from django_smsww.sms import SendResult
from django_smsww.states import FINAL, PROVIDER, SETTLED_BY_PROVIDER, Cause, State, sources

from .conftest import NUMBER

ORDER = [State.NEW, State.PENDING]
OURS = {
    Cause.SENDING: {
        "QUEUED": {"SENDING", "FAILED"},
        "SENDING": {"QUEUED", "VALIDATED", "FAILED", "UNKNOWN"},
    },
    Cause.KEY: {"FAILED": {"QUEUED"}},
    Cause.PERSON: {"QUEUED": {"CANCELLED"}, "UNKNOWN": {"FAILED", "PENDING"}},
    Cause.ABSENCE: {"UNKNOWN": {"FAILED"}},
    Cause.RECORD: {word: {"UNKNOWN"} for word in PROVIDER},
    Cause.RESTORE: {"QUEUED": {"UNKNOWN"}, "SENDING": {"UNKNOWN"}},
}


def legal(source, target, cause):
    """Say whether a move is legal, in other words than the table's."""
    if cause in (Cause.EVIDENCE, Cause.LOOKUP):
        if target not in PROVIDER:
            return False
        if source in FINAL:
            corrects = cause is Cause.LOOKUP and source != target
            return corrects and {source, target} <= SETTLED_BY_PROVIDER
        if source in ORDER and target in ORDER:
            return ORDER.index(source) < ORDER.index(target)
        return True
    if cause is Cause.ANSWER:
        if target not in PROVIDER:
            return (source, target) == (State.UNKNOWN, State.FAILED)
        return source not in (target, State.VALIDATED)
    return target in OURS[cause].get(source, ())


@pytest.mark.parametrize("cause", Cause)
@pytest.mark.parametrize("target", State)
def test_a_row_moves_exactly_where_the_table_says(db, cause, target):
    columns = {"alias": "default", "recipient": NUMBER, "expires_at": timezone.now()}
    rows = [Message(state=source, **columns) for source in State]
    for row in Message.objects.bulk_create(rows):
        moved = Message.objects.filter(pk=row.pk).advance(target, cause)
        assert moved is legal(row.state, target, cause), (row.state, target)
        found = Message.objects.values_list("state", flat=True).get(pk=row.pk)
        assert found == (target if moved else row.state)


def test_no_cause_moves_a_row_onto_itself():
    assert not [(c, s) for c in Cause for s in State if s in sources(s, c)]


@pytest.mark.parametrize("state", sorted(FINAL))
def test_an_unknown_word_moves_no_row(make_message, state):
    message = make_message(state=state)
    outcome = Message.objects.filter(pk=message.pk).accept(
        SendResult(provider_id="a1", state="TELEPORTED"), Cause.LOOKUP
    )
    message.refresh_from_db()
    assert (outcome, message.state) == (Outcome.UNKNOWN_WORD, state)


@pytest.mark.parametrize("state", State)
def test_a_row_is_finished_when_nothing_is_expected_any_more(make_message, state):
    message = make_message(state=State.SENDING)
    cause = Cause.EVIDENCE if state in PROVIDER else Cause.SENDING
    moved = Message.objects.filter(pk=message.pk).advance(state, cause)
    message.refresh_from_db()
    ended = moved and state in FINAL | {State.FAILED}
    assert bool(message.finished_at) is ended
