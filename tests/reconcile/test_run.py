"""A sync as a whole: single look-ups, errors, things that happen meanwhile, restored backups."""

from datetime import timedelta

import pytest
from django.db import connection, connections
from django.utils import timezone

from django_smsww.exceptions import InvalidToken, SMSUnavailable
from django_smsww.models import Callback, Event, Heartbeat, Message
from django_smsww.reconcile import Reason, hold_after_restore, look_up, sync
from django_smsww.sms import SendResult
from django_smsww.states import Cause

from ..support.provider_list import ListedBackend, ago, entry
from .conftest import listed, reasons, state_of

pytestmark = pytest.mark.django_db(transaction=True)


# Single look-ups


def test_what_the_list_does_not_show_is_looked_up(accepted):
    message = accepted(60, "PENDING")
    backend = ListedBackend()
    backend.records[message.provider_id] = entry(message)
    report = sync(backend)
    assert (state_of(message), backend.asked) == ("DELIVERED", [message.provider_id])
    assert (report.looked, message.checked_at is not None) == (1, True)


def test_a_message_is_looked_up_until_48_hours_later(accepted):
    hours = 60
    young = accepted(47 * hours, "PENDING")
    overdue = accepted(49 * hours, "PENDING", checked_at=ago(2 * hours))
    done = accepted(49 * hours, "PENDING", checked_at=ago(0.5 * hours))
    backend = ListedBackend()
    backend.records = {
        one.provider_id: entry(one, state="PENDING") for one in (young, overdue, done)
    }
    sync(backend)
    assert sorted(backend.asked) == sorted([young.provider_id, overdue.provider_id])
    sync(backend)
    assert backend.asked[2:] == [young.provider_id]


def test_a_message_that_the_provider_does_not_have_is_reported_and_stays(accepted):
    message = accepted(60, "PENDING")
    report = sync(ListedBackend())
    assert (state_of(message), report.missing) == ("PENDING", [message.reference])
    assert message.checked_at is None


def test_a_single_look_up_corrects_a_final_word_and_the_ledger_says_so(accepted):
    message = accepted(60, "EXPIRED")
    backend = ListedBackend(entry(message), entry(accepted(61, "PENDING")))
    assert sync(backend).corrected == 1
    assert state_of(message) == "DELIVERED"
    line = Callback.objects.get(message=message)
    assert (line.source, line.outcome, line.state) == ("lookup", "moved", "DELIVERED")


def test_look_ups_have_a_limit_and_the_longest_unseen_come_first(accepted):
    unseen = accepted(60, "PENDING")
    seen = accepted(60, "PENDING", checked_at=ago(5))
    backend = ListedBackend()
    assert sync(backend, max_lookups=1).left == 1
    assert backend.asked == [unseen.provider_id]
    assert seen.provider_id not in backend.asked


def test_one_message_that_cannot_be_read_does_not_keep_the_others(accepted):
    poison, good = accepted(60, "PENDING"), accepted(60, "PENDING")
    backend = ListedBackend()
    backend.records = {poison.provider_id: SMSUnavailable(), good.provider_id: entry(good)}
    assert sync(backend).error is None
    assert state_of(good) == "DELIVERED"


def test_a_single_message_is_looked_up_on_request(accepted, settings, monkeypatch):
    message = accepted(60, "PENDING")
    backend = ListedBackend(entry(message))
    monkeypatch.setattr("django_smsww.reconcile.run.sms_backends", {"default": backend})
    assert look_up(message) == "moved"
    assert state_of(message) == "DELIVERED"


# Errors, and what happens meanwhile


def test_an_error_of_the_provider_ends_the_run_and_keeps_what_was_settled(unknown, many):
    found, lost = unknown(30), unknown(300)
    backend = listed(entry(found), *many(300))

    def fail(number):
        if number:
            raise InvalidToken

    backend.on_page = fail
    report = sync(backend)
    assert isinstance(report.error, InvalidToken)
    assert (state_of(found), state_of(lost)) == ("DELIVERED", "UNKNOWN")
    assert not Heartbeat.objects.exists()


def test_a_run_leaves_a_sign_of_life(accepted):
    sync(ListedBackend())
    assert Heartbeat.objects.get().name == "sync:default"


def test_no_transaction_is_open_while_the_provider_is_asked(unknown, many):
    unknown()
    seen = []
    backend = ListedBackend(*many(3), page_size=2)
    backend.on_page = lambda number: seen.append(connection.in_atomic_block)
    sync(backend)
    assert seen == [False] * len(backend.skips) != []


def test_a_cursor_of_the_server_lives_in_one_transaction(unknown, bracket, monkeypatch):
    """PgBouncer gives the connection to another client after each transaction."""
    # Of the connection itself: Django's tests without a database leave methods on it.
    ours, opened = connections["default"], []
    chunked_cursor = ours.chunked_cursor

    def open_cursor():
        opened.append(ours.in_atomic_block)
        return chunked_cursor()

    monkeypatch.setattr(ours, "chunked_cursor", open_cursor)
    message = unknown()
    sync(listed(*bracket))
    assert state_of(message) == "FAILED"
    assert set(opened) == {True}


def test_two_runs_at_once_settle_the_same_once(unknown, bracket):
    found, absent = unknown(30), unknown(31)
    backend = listed(entry(found), *bracket)
    backend.on_page = lambda number: None if number else sync(ListedBackend(*backend.entries))
    report = sync(backend)
    assert (state_of(found), state_of(absent)) == ("DELIVERED", "FAILED")
    assert report.proved_absent == 0
    assert Event.objects.filter(message=absent).count() == 1


def test_a_callback_that_comes_meanwhile_wins_over_absence(unknown, bracket):
    message = unknown()
    backend = ListedBackend(*bracket)
    rows = Message.objects.filter(pk=message.pk)
    result = SendResult(provider_id="p1", state="PENDING")
    backend.on_page = lambda number: rows.accept(result, Cause.EVIDENCE)
    report = sync(backend)
    assert (state_of(message), report.proved_absent) == ("PENDING", 0)


# After a restore


def test_after_a_restore_what_may_have_left_is_held_before_it_is_looked_for(row):
    queued, sending = row("QUEUED", 60, claimed_at=None), row("SENDING", 60)
    backend = ListedBackend(entry(queued, state="PENDING"))
    report = sync(backend, after_restore=ago(30))
    assert (report.held, state_of(queued), state_of(sending)) == (2, "PENDING", "UNKNOWN")
    assert queued.claimed_at
    assert list(Event.objects.values_list("kind", flat=True)) == ["held", "held"]


@pytest.mark.parametrize(
    "columns",
    [
        {"expires_at": ago(40)},
        {"send_at": timezone.now() + timedelta(hours=1)},
        {"dry_run": True},
        {"environment": "staging.example"},
        {"alias": "other"},
    ],
)
def test_after_a_restore_what_cannot_have_left_is_not_held(row, columns):
    message = row("QUEUED", 60, **columns)
    assert hold_after_restore(ListedBackend(), ago(30)) == 0
    assert state_of(message) == "QUEUED"


def test_a_held_message_is_absent_only_if_one_of_ours_left_after_it_was_held(row, accepted):
    message = row("QUEUED", 30, claimed_at=None)
    controls = [entry(accepted(10)), entry(accepted(60))]
    report = sync(ListedBackend(*controls), after_restore=ago(20), grace=timedelta(0))
    assert reasons(report) == [Reason.NO_CONTROL_AFTER]
    later = entry(accepted(-0.1))
    assert sync(ListedBackend(later, *controls), grace=timedelta(0)).proved_absent == 1
    assert state_of(message) == "FAILED"


def test_after_a_restore_messages_without_a_row_are_reported(accepted):
    lost, forged = accepted(10), accepted(11)
    entries = [entry(lost), entry(forged)]
    entries[1].custom["_smsww"]["signature"] = "forged"
    Message.objects.all().delete()
    report = sync(ListedBackend(*entries), after_restore=ago(30))
    assert (report.orphans, Message.objects.count()) == ([lost.provider_id], 0)


def test_a_naive_time_of_a_backup_is_refused():
    with pytest.raises(ValueError, match="aware"):
        hold_after_restore(ListedBackend(), ago(30).replace(tzinfo=None))


def test_a_backup_of_the_future_is_refused():
    with pytest.raises(ValueError, match="in the future"):
        hold_after_restore(ListedBackend(), ago(-30))


def test_a_look_at_the_list_alone_is_no_sync():
    """The admin's is one: it leaves out what the list does not show."""
    sync(ListedBackend(), max_lookups=0)
    assert not Heartbeat.objects.exists()
    sync(ListedBackend())
    assert Heartbeat.objects.get().name == "sync:default"
