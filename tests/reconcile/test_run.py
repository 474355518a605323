"""Reconcile against a provider's list that each test writes: what it may conclude, and what not."""

import json
import os
import signal
from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models.signals import post_init
from django.utils import timezone

from django_smsww.exceptions import InvalidSMS, InvalidToken, SMSUnavailable
from django_smsww.models import Callback, Event, Heartbeat, Message, fingerprint
from django_smsww.reconcile import Reason, hold_after_restore, look_up, sync
from django_smsww.signals import message_sent
from django_smsww.sms import SendResult
from django_smsww.states import Cause

from ..conftest import NUMBER
from ..support.provider_list import LINE, ListedBackend, ago, entry, stamp
from ..support.sampling import slow_unless

pytestmark = pytest.mark.django_db(transaction=True)
OTHER = "+34600000000"


@pytest.fixture
def row(make_message):
    """Return a function that stores a row that was handed over so many minutes ago."""

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


def newest_first(*entries):
    return sorted(entries, key=lambda one: one.created_at, reverse=True)


def state_of(message):
    message.refresh_from_db()
    return message.state


def reasons(report):
    return list(report.still_unknown.values())


# Found


def test_an_unknown_message_is_found_by_its_reference(unknown):
    message = unknown()
    report = sync(ListedBackend(entry(message, provider_id="p1", state="PENDING")))
    assert (state_of(message), message.provider_id, message.error) == ("PENDING", "p1", "")
    assert (report.adopted, report.moved, report.still_unknown) == (1, 1, {})


def test_what_was_found_is_in_the_ledger_without_number_and_text(unknown):
    message = unknown()
    sync(ListedBackend(entry(message, provider_id="p1")))
    line = Callback.objects.get(message=message)
    assert (line.source, line.outcome, line.provider_id) == ("lookup", "moved", "p1")
    assert not {NUMBER, "Hello"} & set(map(str, line.payload.values()))


def test_being_found_sends_the_signal_of_acceptance(unknown):
    message, seen = unknown(), []
    receiver = lambda **extra: seen.append(extra["message"].pk)  # noqa: E731
    message_sent.connect(receiver)
    sync(ListedBackend(entry(message)))
    message_sent.disconnect(receiver)
    assert seen == [message.pk]


def test_a_word_that_is_not_known_still_says_that_it_was_accepted(unknown):
    message = unknown()
    sync(ListedBackend(entry(message, state="QUARANTINED")))
    assert state_of(message) == "NEW"


def test_a_message_is_found_even_where_the_key_of_its_signature_is_gone(unknown):
    message = unknown()
    custom = stamp(message)
    custom["_smsww"]["signature"] = "of an older key"
    sync(ListedBackend(entry(message, custom=custom)))
    assert state_of(message) == "DELIVERED"


@pytest.mark.parametrize("state", ["FAILED", "CANCELLED", "QUEUED", "SENDING"])
def test_the_list_moves_whatever_row_its_reference_names(row, unknown, state):
    message = row(state, 20)
    sync(ListedBackend(entry(message), entry(unknown())))
    assert state_of(message) == "DELIVERED"


def test_a_foreign_environment_is_not_touched(unknown):
    message = unknown(environment="staging.example")
    report = sync(ListedBackend(entry(message)))
    assert (state_of(message), report.adopted) == ("UNKNOWN", 0)


def test_a_staging_copy_adopts_nothing_of_production(unknown, bracket):
    message = unknown()
    copied = entry(message, custom=stamp(message, "staging.example"))
    report = sync(ListedBackend(*newest_first(copied, *bracket)))
    assert (state_of(message), reasons(report)) == ("UNKNOWN", [Reason.CONTESTED])


def test_a_message_to_another_number_is_not_taken_for_ours(unknown, bracket):
    message = unknown()
    report = sync(ListedBackend(*newest_first(entry(message, recipient=OTHER), *bracket)))
    assert (state_of(message), reasons(report)) == ("UNKNOWN", [Reason.CONTESTED])


def test_a_second_acceptance_is_reported_and_moves_nothing(accepted):
    message = accepted(20, "PENDING")
    twin = entry(message, provider_id="second", state="REJECTED")
    report = sync(ListedBackend(entry(message, state="PENDING"), twin))
    assert (state_of(message), report.doubled) == ("PENDING", [message.reference])
    assert Callback.objects.filter(outcome="mismatch", provider_id="second").exists()


# Absent


def test_absence_is_proved_between_two_messages_of_ours(unknown, bracket):
    message = unknown()
    report = sync(ListedBackend(*bracket))
    assert (state_of(message), message.error_code) == ("FAILED", "proved_absent")
    assert report.proved_absent == 1
    assert Event.objects.get(message=message).kind == "settled"


def test_what_was_proved_absent_may_be_sent_by_its_key_and_resent(unknown, bracket):
    message = unknown()
    sync(ListedBackend(*bracket))
    assert Message.objects.resendable().filter(pk=message.pk).exists()
    message.refresh_from_db()
    assert message.requeue(body="Hello", expires_at=timezone.now() + timedelta(days=1))


@pytest.mark.parametrize(
    ("kept", "reason"),
    [
        ([], Reason.NOT_ECHOED),
        ([0], Reason.NO_CONTROL_BEFORE),
        ([1], Reason.NO_CONTROL_AFTER),
    ],
)
def test_without_both_controls_it_stays_unknown_and_says_why(unknown, bracket, kept, reason):
    message = unknown()
    report = sync(ListedBackend(*[bracket[number] for number in kept]))
    assert (state_of(message), reasons(report)) == ("UNKNOWN", [reason])
    assert message.error_text == reason.value
    assert message.checked_at


def test_an_attempt_within_the_grace_period_is_not_judged(unknown, accepted):
    message = unknown(5)
    backend = ListedBackend(entry(accepted(1)), entry(accepted(60)))
    assert reasons(sync(backend)) == [Reason.TOO_EARLY]
    assert sync(backend, grace=timedelta(0)).proved_absent == 1
    assert state_of(message) == "FAILED"


def test_a_control_that_left_while_the_attempt_was_under_way_is_none(unknown, accepted):
    unknown(30)
    backend = ListedBackend(entry(accepted(29)), entry(accepted(60)))
    assert reasons(sync(backend)) == [Reason.NO_CONTROL_AFTER]


def test_controls_without_references_prove_nothing(unknown, accepted):
    unknown()
    controls = [entry(accepted(minutes), echo=False) for minutes in (10, 60)]
    assert reasons(sync(ListedBackend(*controls))) == [Reason.NOT_ECHOED]


def test_a_message_of_the_time_that_bore_no_reference_is_a_doubt(unknown, accepted, bracket):
    unknown()
    plain = entry(accepted(29), echo=False)
    assert reasons(sync(ListedBackend(*newest_first(plain, *bracket)))) == [Reason.NOT_ECHOED]


def test_a_list_that_lacks_an_accepted_message_of_the_time_proves_nothing(
    unknown, accepted, bracket
):
    unknown()
    accepted(40)
    assert reasons(sync(ListedBackend(*bracket))) == [Reason.HOLE]


def test_a_message_of_unknown_origin_with_its_number_and_text_is_a_doubt(unknown, bracket):
    message = unknown()
    backend = ListedBackend(*newest_first(entry(message, echo=False), *bracket))
    assert reasons(sync(backend)) == [Reason.TWIN]


@pytest.mark.parametrize("change", [{"body": "Else"}, {"recipient": OTHER}])
def test_another_text_or_number_is_no_doubt(unknown, bracket, change):
    message = unknown()
    backend = ListedBackend(*newest_first(entry(message, echo=False, **change), *bracket))
    assert sync(backend).proved_absent == 1


def test_a_forgotten_text_may_be_any(unknown, bracket):
    message = unknown(scrubbed=True)
    other = entry(message, echo=False, body="Else")
    assert reasons(sync(ListedBackend(*newest_first(other, *bracket)))) == [Reason.TWIN]


def test_what_a_row_of_another_alias_owns_is_no_doubt(unknown, accepted, bracket):
    message = unknown()
    twin = entry(message, echo=False, provider_id="theirs")
    accepted(30, alias="other", provider_id="theirs")
    assert sync(ListedBackend(*newest_first(twin, *bracket))).proved_absent == 1


def test_an_entry_that_cannot_be_read_might_be_the_message(unknown, bracket):
    unknown()
    backend = ListedBackend(bracket[0], SendResult(), bracket[1])
    assert reasons(sync(backend)) == [Reason.NOT_READ]


def test_a_signed_callback_says_that_it_is_not_absent(unknown, bracket):
    message = unknown()
    Callback.objects.create(message=message, reference=message.reference, outcome="mismatch")
    assert reasons(sync(ListedBackend(*bracket))) == [Reason.KNOWN]


def test_a_clock_of_the_provider_ten_minutes_ahead_changes_nothing(unknown, accepted):
    found, absent = unknown(30), unknown(31)
    clock = timedelta(minutes=10)
    listed = [found, accepted(10), accepted(60)]
    entries = newest_first(*[entry(one, clock=clock) for one in listed])
    report = sync(ListedBackend(*entries))
    assert (report.adopted, report.proved_absent) == (1, 1)
    assert (state_of(found), state_of(absent)) == ("DELIVERED", "FAILED")


def test_a_row_with_a_wrong_time_is_no_control(unknown, accepted):
    """Its row says that it left before; in truth it was accepted long after."""
    unknown()
    wrong = entry(accepted(60), created_at=ago(12))
    honest = [entry(accepted(minutes)) for minutes in (10, 11)]
    backend = ListedBackend(*newest_first(wrong, *honest))
    assert reasons(sync(backend)) == [Reason.NO_CONTROL_BEFORE]


# The list


def many(accepted, count, newest=10):
    """Return the entries of so many accepted messages, a minute apart, the newest first."""
    return [entry(accepted(newest + number)) for number in range(count)]


@pytest.mark.parametrize("page_size", slow_unless({7, 100}.__contains__, [2, 7, 50, 100]))
@pytest.mark.parametrize("oldest_first", [False, True])
def test_any_page_size_and_order_is_understood(unknown, accepted, page_size, oldest_first):
    found, absent = unknown(60), unknown(61)
    entries = newest_first(entry(found), *many(accepted, 120, newest=11))
    backend = ListedBackend(*entries[:: -1 if oldest_first else 1], page_size=page_size)
    sync(backend)
    assert (state_of(found), state_of(absent)) == ("DELIVERED", "FAILED")


def test_messages_that_arrive_while_the_list_is_read_hide_nothing(unknown, accepted):
    found = unknown(60)
    absent = unknown(61)
    backend = ListedBackend(*newest_first(entry(found), *many(accepted, 120)), page_size=10)
    arriving = iter([entry(accepted(0.01)) for _ in range(20)])

    def arrive(number):
        for _ in range(3 if number else 0):
            if one := next(arriving, None):
                backend.entries.insert(0, one)

    backend.on_page = arrive
    sync(backend)
    assert (state_of(found), state_of(absent)) == ("DELIVERED", "FAILED")


def test_a_gap_between_two_pages_is_noticed(unknown, accepted):
    unknown(60)
    backend = ListedBackend(*many(accepted, 100), page_size=10)

    def vanish(number):
        del backend.entries[: 3 if number == 2 else 0]

    backend.on_page = vanish
    report = sync(backend)
    assert reasons(report) == [Reason.NOT_READ]


def test_pages_of_one_find_and_prove_nothing(unknown, bracket):
    """They cannot overlap, so a gap between them would not be noticed."""
    found = unknown(30)
    unknown(31)
    backend = ListedBackend(*newest_first(entry(found), *bracket), page_size=1)
    assert reasons(sync(backend)) == [Reason.NOT_READ]
    assert state_of(found) == "DELIVERED"


def test_a_list_that_ignores_the_position_ends(unknown, bracket):
    unknown()
    backend = ListedBackend()
    backend.fetch_page = lambda skip, limit: bracket
    report = sync(backend)
    assert (report.requests < 10, reasons(report)) == (True, [Reason.NOT_READ])


def test_a_list_without_order_is_read_to_its_end(unknown, accepted):
    absent = unknown(60)
    entries = many(accepted, 150)
    shuffled = entries[::2] + entries[1::2]
    report = sync(ListedBackend(*shuffled))
    assert (state_of(absent), report.pages) == ("FAILED", 3)


def test_the_list_is_read_no_further_than_needed(unknown, accepted):
    found = unknown(20)
    backend = ListedBackend(*newest_first(entry(found), *many(accepted, 1000, newest=21)))
    assert sync(backend).requests == 1
    unknown(40)
    assert sync(backend).requests == 1


def test_of_a_list_that_begins_with_the_oldest_the_old_part_is_skipped(unknown, accepted):
    absent = unknown(60)
    backend = ListedBackend(*reversed(many(accepted, 3000)))
    report = sync(backend)
    assert state_of(absent) == "FAILED"
    assert report.requests < 20


def test_an_unknown_message_costs_nothing_a_week_later(unknown, accepted):
    unknown(60 * 24 * 10)
    backend = ListedBackend(entry(accepted(60 * 24 * 9)))
    assert reasons(sync(backend)) == [Reason.NO_CONTROL_BEFORE]
    report = sync(backend)
    assert (reasons(report), report.requests) == ([Reason.GIVEN_UP], 0)


# Without references


def test_without_references_the_only_match_is_taken(unknown, accepted):
    message = unknown()
    controls = [entry(accepted(minutes), echo=False) for minutes in (10, 60)]
    sync(ListedBackend(*newest_first(entry(message, echo=False), *controls)))
    assert state_of(message) == "DELIVERED"


def test_a_forgotten_text_is_recognised_by_its_fingerprint(unknown):
    message = unknown()
    found = entry(message, echo=False)
    Message.objects.filter(pk=message.pk).update(body="", scrubbed=True)
    sync(ListedBackend(found))
    assert state_of(message) == "DELIVERED"


def test_without_references_a_match_waits_for_the_grace_period(unknown):
    message = unknown(5)
    assert reasons(sync(ListedBackend(entry(message, echo=False)))) == [Reason.TOO_EARLY]
    assert state_of(message) == "UNKNOWN"


def test_without_references_a_list_with_gaps_gives_no_match(unknown):
    message = unknown()
    sync(ListedBackend(entry(message, echo=False), SendResult()))
    assert state_of(message) == "UNKNOWN"


@pytest.mark.parametrize("rival", ["UNKNOWN", "SENDING"])
def test_without_references_twins_stay_unknown(unknown, rival):
    message, twin = unknown(30), unknown(31)
    Message.objects.filter(pk=twin.pk).update(state=rival)
    report = sync(ListedBackend(entry(message, echo=False)))
    assert (state_of(message), report.adopted) == ("UNKNOWN", 0)
    assert set(reasons(report)) == {Reason.NOT_ECHOED}


def test_without_references_two_candidates_are_none(unknown):
    message = unknown()
    backend = ListedBackend(entry(message, echo=False), entry(message, echo=False))
    assert reasons(sync(backend)) == [Reason.NOT_ECHOED]


@pytest.mark.parametrize(
    "change",
    [
        {"body": "Else"},
        {"sender": "Another"},
        {"recipient": OTHER},
        {"created_at": 90},
        {"created_at": 2},
        {"created_at": None},
    ],
)
def test_without_references_all_must_fit(unknown, change):
    if change.get("created_at"):
        change = {"created_at": ago(change["created_at"])}  # now, not when the tests were found
    message = unknown(sender="Acme")
    report = sync(ListedBackend(entry(message, echo=False, **change)))
    assert (state_of(message), report.adopted) == ("UNKNOWN", 0)


def test_a_message_that_left_before_the_attempt_was_over_is_no_control(unknown, accepted):
    message = unknown(40)
    # It waited for its request, and then for an answer, for seven minutes.
    message.events.create(kind="attempt", state="UNKNOWN", created_at=ago(33))
    before, within, after = accepted(60), accepted(36), accepted(30)
    seen = newest_first(entry(before), entry(within))
    assert reasons(sync(ListedBackend(*seen))) == [Reason.NO_CONTROL_AFTER]
    assert sync(ListedBackend(entry(after), *seen)).proved_absent == 1


def test_what_was_accepted_without_an_id_is_found_by_its_reference(row):
    message = row("PENDING", 20, provider_id=None)
    sync(ListedBackend(entry(message, state="DELIVERED")))
    assert state_of(message) == "DELIVERED"
    assert message.provider_id


def test_what_a_dead_worker_left_is_looked_for_too(row):
    message = row("SENDING", 20, lease_until=ago(15))
    sync(ListedBackend(entry(message, state="DELIVERED")))
    assert state_of(message) == "DELIVERED"


def test_where_references_are_echoed_nothing_is_taken_without(unknown, bracket):
    message = unknown()
    sync(ListedBackend(*newest_first(entry(message, echo=False), *bracket)))
    assert state_of(message) == "UNKNOWN"


# Unfinished messages


def test_unfinished_messages_are_refreshed_from_the_list(accepted):
    messages = [accepted(10 + number, "PENDING", total_price=None) for number in range(3)]
    entries = [entry(one, total_price=2, segments=2) for one in messages]
    backend = ListedBackend(*entries)
    report = sync(backend)
    assert {state_of(one) for one in messages} == {"DELIVERED"}
    assert all(one.checked_at for one in messages)
    assert (messages[0].total_price, report.moved, backend.asked) == (2, 3, [])


def test_a_late_price_is_filled_in(accepted):
    message = accepted(60, total_price=None)
    sync(ListedBackend(entry(message, total_price=3)))
    message.refresh_from_db()
    assert message.total_price == 3


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


def test_the_list_alone_does_not_correct_a_final_word(accepted):
    message = accepted(60, "EXPIRED")
    backend = ListedBackend(entry(message, state="DELIVERED"))
    backend.records[message.provider_id] = entry(message, state="EXPIRED")
    backend.entries.append(entry(accepted(61, "PENDING")))
    assert sync(backend).corrected == 0
    assert state_of(message) == "EXPIRED"


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


def test_no_text_is_loaded_of_what_was_accepted(accepted):
    rows = [accepted(n + 10, state="PENDING", total_price=None) for n in range(4)]
    backend = ListedBackend(*(entry(each, state="PENDING") for each in rows[:2]))
    backend.records = {each.provider_id: entry(each) for each in rows[2:]}
    loaded = []
    keep = lambda instance, **extra: loaded.append(instance.get_deferred_fields())  # noqa: E731
    post_init.connect(keep, sender=Message)
    report = sync(backend)
    post_init.disconnect(keep, sender=Message)
    assert (report.looked, report.moved, len(loaded)) == (4, 2, 4)
    assert all("body" in fields for fields in loaded)


def test_a_single_message_is_looked_up_on_request(accepted, settings, monkeypatch):
    message = accepted(60, "PENDING")
    backend = ListedBackend(entry(message))
    monkeypatch.setattr("django_smsww.reconcile.run.sms_backends", {"default": backend})
    assert look_up(message) == "moved"
    assert state_of(message) == "DELIVERED"


# Errors, and what happens meanwhile


def test_an_error_of_the_provider_ends_the_run_and_keeps_what_was_settled(unknown, accepted):
    found, lost = unknown(30), unknown(300)
    backend = ListedBackend(*newest_first(entry(found), *many(accepted, 300)))

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


def test_no_transaction_is_open_while_the_provider_is_asked(unknown, accepted):
    unknown()
    seen = []
    backend = ListedBackend(*many(accepted, 3), page_size=2)
    backend.on_page = lambda number: seen.append(connection.in_atomic_block)
    sync(backend)
    assert seen == [False] * len(backend.skips) != []


def test_two_runs_at_once_settle_the_same_once(unknown, bracket):
    found, absent = unknown(30), unknown(31)
    entries = newest_first(entry(found), *bracket)
    backend = ListedBackend(*entries)
    backend.on_page = lambda number: None if number else sync(ListedBackend(*entries))
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


def test_an_attempt_that_began_since_the_list_was_read_is_not_judged_by_it(unknown, bracket):
    message = unknown()
    backend = ListedBackend(*bracket)
    rows = Message.objects.filter(pk=message.pk)
    backend.on_page = lambda number: rows.update(claimed_at=ago(20))
    assert reasons(sync(backend)) == [Reason.TOO_EARLY]
    assert state_of(message) == "UNKNOWN"


def test_absence_that_was_proved_of_an_attempt_is_not_claimed_of_the_next(unknown):
    message = unknown()
    Message.objects.filter(pk=message.pk).update(claimed_at=timezone.now())
    assert message.rule_out() is False
    assert state_of(message) == "UNKNOWN"


def test_a_callback_that_was_heard_since_keeps_absence_from_being_claimed(unknown):
    message = unknown()
    Callback.objects.create(message=message, reference=message.reference, outcome="mismatch")
    assert message.rule_out() is False
    assert state_of(message) == "UNKNOWN"


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


# Settled by a person


@pytest.fixture
def person():
    return get_user_model().objects.create(username="ada")


@pytest.mark.parametrize(("sent", "state"), [(True, "PENDING"), (False, "FAILED")])
def test_a_person_settles_with_a_reason(unknown, person, sent, state):
    message = unknown()
    assert message.settle(sent, person, "The recipient says so")
    event = Event.objects.get(message=message)
    assert (state_of(message), event.kind, event.state) == (state, "settled", state)
    assert (event.user, event.reason) == (person, "The recipient says so")


@pytest.mark.parametrize(
    ("minutes", "reason", "code"), [(30, "  ", "no_reason"), (5, "A reason", "too_early")]
)
def test_a_person_needs_a_reason_and_patience(unknown, person, minutes, reason, code):
    message = unknown(minutes, created_at=ago(300))
    with pytest.raises(InvalidSMS) as caught:
        message.settle(False, person, reason)
    assert (caught.value.code, state_of(message)) == (code, "UNKNOWN")


def test_what_was_held_just_now_is_not_settled_yet(row, person):
    message = row("SENDING", 300)
    hold_after_restore(ListedBackend(), ago(310))
    with pytest.raises(InvalidSMS, match="too early"):
        message.settle(False, person, "A reason")


def test_what_the_provider_knows_is_not_settled_as_unsent(unknown, person):
    message = unknown(provider_id="p1")
    with pytest.raises(InvalidSMS, match="provider knows it"):
        message.settle(False, person, "A reason")


def test_only_what_is_unknown_is_settled(row, person):
    message = row("QUEUED", 30)
    assert message.settle(False, person, "A reason") is False
    assert (state_of(message), Event.objects.count()) == ("QUEUED", 0)


def test_a_message_taken_as_sent_is_still_found_by_its_reference(unknown, person):
    message, other = unknown(), unknown()
    message.settle(True, person, "A reason")
    sync(ListedBackend(entry(message), entry(other)))
    assert (state_of(message), message.provider_id is None) == ("DELIVERED", False)


# The command


@pytest.fixture
def command(monkeypatch):
    """Return a function that runs smsww_sync with these backends and returns what it prints."""

    def run(*arguments, **backends):
        where = "django_smsww.management.console.sms_backends"
        monkeypatch.setattr(where, backends)
        out = StringIO()
        call_command("smsww_sync", *arguments, stdout=out)
        return out.getvalue()

    return run


def test_the_command_says_what_it_did_and_why_not_more(command, unknown):
    message = unknown()
    text = command(default=ListedBackend())
    assert "0 found again" in text
    assert f"{message.reference}: {Reason.NOT_ECHOED.value}." in text


def test_the_command_prints_json(command, unknown):
    message = unknown()
    found = json.loads(command("--json", default=ListedBackend(entry(message))))
    assert (found["default"]["adopted"], found["default"]["error"]) == (1, "")


def test_the_command_skips_a_backend_that_cannot_be_asked(command, settings):
    from django_smsww.backends.dummy import SMSBackend

    assert "skipped: its backend can neither" in command(default=SMSBackend(alias="default"))


def test_the_command_fails_where_the_provider_cannot_be_asked(command, unknown):
    unknown()
    backend = ListedBackend()
    backend.on_page = lambda number: (_ for _ in ()).throw(InvalidToken())
    with pytest.raises(CommandError, match="could not be asked for: default") as caught:
        command(default=backend)
    assert caught.value.returncode == 1


def test_the_command_holds_every_alias_before_it_asks(command, row):
    message = row("QUEUED", 60, alias="second")
    first = ListedBackend(entry(row("PENDING", 60, provider_id="p1")))
    second = ListedBackend()
    second.alias = "second"
    seen = []
    first.on_page = lambda number: seen.append(state_of(message))
    text = command("--after-restore", ago(30).isoformat(), default=first, second=second)
    assert seen[0] == "UNKNOWN"
    assert "second: 1 held after the restore." in text


def test_the_command_repeats_until_it_is_stopped(command, unknown):
    unknown()
    backend = ListedBackend()
    runs = []

    def stop_at_the_second(number):
        runs.append(number)
        if len(runs) == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    backend.on_page = stop_at_the_second
    text = command("--interval", "0.1", default=backend)
    assert (len(runs), text.count("still unknown (")) == (2, 2)


@pytest.mark.parametrize("moment", ["yesterday", "2030-01-31", "2030-01-31T12:00:00", "2030-13-31"])
def test_the_command_refuses_a_time_that_is_none(command, moment):
    with pytest.raises(CommandError, match="with its offset") as caught:
        command("--after-restore", moment, default=ListedBackend())
    assert caught.value.returncode == 2
