"""Absence is proved between two messages of ours that the list shows; each doubt has a reason."""

from datetime import timedelta

import pytest
from django.utils import timezone

from django_smsww.models import Callback, Event, Message
from django_smsww.reconcile import Reason, sync
from django_smsww.sms import SendResult

from ..support.provider_list import ListedBackend, ago, entry
from .conftest import OTHER, listed, reasons, state_of

pytestmark = pytest.mark.django_db(transaction=True)


def test_absence_is_proved_between_two_messages_of_ours(unknown, bracket):
    message = unknown()
    report = sync(listed(*bracket))
    assert (state_of(message), message.error_code) == ("FAILED", "proved_absent")
    assert report.proved_absent == 1
    assert Event.objects.get(message=message).kind == "settled"
    assert message.checked_at >= message.claimed_at


def test_an_absent_message_may_be_sent_by_its_key_and_resent(unknown, bracket):
    message = unknown()
    sync(listed(*bracket))
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
    report = sync(listed(*[bracket[number] for number in kept]))
    assert (state_of(message), reasons(report)) == ("UNKNOWN", [reason])
    assert message.error_text == reason.value
    assert message.checked_at


def test_the_reason_asks_for_what_is_still_possible(unknown, accepted):
    message, first = unknown(30), entry(accepted(31))
    assert reasons(sync(ListedBackend(first))) == [Reason.NO_CONTROL_AFTER]
    assert sync(ListedBackend(entry(accepted(10)), first)).proved_absent == 1
    assert state_of(message) == "FAILED"


@pytest.mark.parametrize("older", [0, 3])
@pytest.mark.parametrize("order", [1, -1])
def test_the_first_message_of_an_account_is_absent_if_the_list_begins_before(
    unknown, accepted, older, order
):
    message = unknown(30)
    strangers = [entry(accepted(99, alias="other"), echo=False) for _ in range(older)]
    entries = [entry(accepted(10)), entry(accepted(20)), *strangers]
    assert sync(ListedBackend(*entries[::order])).proved_absent == 1
    assert state_of(message) == "FAILED"


@pytest.mark.parametrize(
    ("later", "unlisted", "at", "reasons_given"),
    [
        (99, None, 30, []),
        (100, None, 30, [Reason.NO_CONTROL_BEFORE]),  # the list may be the newest hundred
        (1, 60, 30, [Reason.NO_CONTROL_BEFORE]),
        (1, 29, 30, [Reason.HOLE]),
        (1, None, 2 * 24 * 60, [Reason.NO_CONTROL_BEFORE]),  # perhaps of another account
        (0, None, 30, [Reason.NOT_ECHOED]),
    ],
)
def test_a_first_message_is_in_doubt_where_the_list_may_lack_it(
    unknown, accepted, later, unlisted, at, reasons_given
):
    unknown(at)
    if unlisted:
        accepted(unlisted)
    backend = listed(*[entry(accepted(10 + number / 100)) for number in range(later)])
    assert reasons(sync(backend)) == reasons_given


def test_a_send_within_the_grace_period_is_not_judged(unknown, accepted):
    message = unknown(5)
    backend = listed(entry(accepted(1)), entry(accepted(60)))
    assert reasons(sync(backend)) == [Reason.TOO_EARLY]
    assert sync(backend, grace=timedelta(0)).proved_absent == 1
    assert state_of(message) == "FAILED"


def test_a_message_that_left_during_the_send_is_no_control(unknown, accepted):
    unknown(30)
    backend = listed(entry(accepted(29)), entry(accepted(60)))
    assert reasons(sync(backend)) == [Reason.NO_CONTROL_AFTER]


def test_a_message_that_left_before_the_send_was_over_is_no_control(unknown, accepted):
    message = unknown(40)
    # It waited for its request, and then for an answer, for seven minutes.
    message.events.create(kind="attempt", state="UNKNOWN", created_at=ago(33))
    before, within, after = accepted(60), accepted(36), accepted(30)
    seen = [entry(before), entry(within)]
    assert reasons(sync(listed(*seen))) == [Reason.NO_CONTROL_AFTER]
    assert sync(listed(entry(after), *seen)).proved_absent == 1


def test_a_row_with_a_wrong_time_is_no_control(unknown, accepted):
    """Its row says that it left before; in truth it was accepted long after."""
    unknown()
    wrong = entry(accepted(60), created_at=ago(12))
    honest = [entry(accepted(minutes)) for minutes in (10, 11)]
    assert reasons(sync(listed(wrong, *honest))) == [Reason.NO_CONTROL_BEFORE]


def test_messages_without_references_are_no_controls(unknown, accepted):
    unknown()
    controls = [entry(accepted(minutes), echo=False) for minutes in (10, 60)]
    assert reasons(sync(listed(*controls))) == [Reason.NOT_ECHOED]


@pytest.mark.parametrize(("is_listed", "reason"), [(True, "NOT_ECHOED"), (False, "HOLE")])
def test_an_accepted_message_without_its_reference_or_entry_is_a_doubt(
    unknown, accepted, bracket, is_listed, reason
):
    unknown()
    plain = entry(accepted(29), echo=False)
    assert reasons(sync(listed(*bracket, *[plain][:is_listed]))) == [Reason[reason]]


@pytest.mark.parametrize(
    ("columns", "change", "is_doubt"),
    [
        ({}, {}, True),
        ({}, {"body": "Else"}, False),
        ({}, {"recipient": OTHER}, False),
        ({"scrubbed": True}, {"body": "Else"}, True),  # a forgotten text may be any
    ],
)
def test_an_ownerless_entry_is_a_doubt_if_number_and_text_fit(
    unknown, bracket, columns, change, is_doubt
):
    message = unknown(**columns)
    report = sync(listed(entry(message, echo=False, **change), *bracket))
    assert (reasons(report), report.proved_absent) == ([Reason.TWIN] * is_doubt, not is_doubt)


def test_an_entry_of_a_row_of_another_alias_is_no_doubt(unknown, accepted, bracket):
    message = unknown()
    twin = entry(message, echo=False, provider_id="theirs")
    accepted(30, alias="other", provider_id="theirs")
    assert sync(listed(twin, *bracket)).proved_absent == 1


def test_an_entry_that_cannot_be_read_might_be_the_message(unknown, bracket):
    unknown()
    backend = ListedBackend(bracket[0], SendResult(), bracket[1])
    assert reasons(sync(backend)) == [Reason.NOT_READ]


def test_a_signed_callback_says_that_it_is_not_absent(unknown, bracket):
    message = unknown()
    Callback.objects.create(message=message, reference=message.reference, outcome="mismatch")
    assert reasons(sync(listed(*bracket))) == [Reason.KNOWN]


def test_a_clock_of_the_provider_ten_minutes_ahead_changes_nothing(unknown, accepted):
    found, absent = unknown(30), unknown(31)
    clock = timedelta(minutes=10)
    shown = [found, accepted(10), accepted(60)]
    report = sync(listed(*[entry(one, clock=clock) for one in shown]))
    assert (report.found, report.proved_absent) == (1, 1)
    assert (state_of(found), state_of(absent)) == ("DELIVERED", "FAILED")


# Absence is claimed of the send that was read, and of no later one


@pytest.mark.parametrize("is_sent_again", [True, False])
def test_a_later_send_or_callback_keeps_absence_from_being_claimed(unknown, is_sent_again):
    message = unknown()
    if is_sent_again:
        Message.objects.filter(pk=message.pk).update(claimed_at=timezone.now())
    else:
        Callback.objects.create(message=message, reference=message.reference, outcome="mismatch")
    assert message.rule_out() is False
    assert state_of(message) == "UNKNOWN"


def test_a_send_that_began_since_the_list_was_read_is_not_judged_by_it(unknown, bracket):
    message = unknown()
    backend = listed(*bracket)
    rows = Message.objects.filter(pk=message.pk)
    backend.on_page = lambda number: rows.update(claimed_at=ago(20))
    assert reasons(sync(backend)) == [Reason.TOO_EARLY]
    assert state_of(message) == "UNKNOWN"


def test_an_unknown_message_costs_nothing_a_week_later(unknown, accepted):
    unknown(60 * 24 * 10)
    backend = listed(entry(accepted(60 * 24 * 9)))
    assert reasons(sync(backend)) == [Reason.NO_CONTROL_BEFORE]
    report = sync(backend)
    assert (reasons(report), report.requests) == ([Reason.GIVEN_UP], 0)
