"""The entries of the list find their rows: by id, by reference, and else by all that is known."""

from datetime import timedelta

import pytest
from django.db.models.signals import post_init

from django_smsww.models import Callback, Message
from django_smsww.reconcile import Reason, sync
from django_smsww.signals import message_sent
from django_smsww.sms import SendResult

from ..conftest import NUMBER
from ..support.provider_list import ListedBackend, ago, entry, stamp
from ..support.sampling import slow_unless
from .conftest import OTHER, listed, reasons, state_of

pytestmark = pytest.mark.django_db(transaction=True)


def pass_time(message, **time):
    """Make a row older, as if this time had passed."""
    message.refresh_from_db()
    message.claimed_at -= timedelta(**time)
    message.checked_at = message.checked_at and message.checked_at - timedelta(**time)
    message.save()


# By reference


def test_an_unknown_message_is_found_and_the_ledger_holds_no_number_or_text(unknown):
    message = unknown()
    report = sync(listed(entry(message, provider_id="p1", state="PENDING")))
    assert (state_of(message), message.provider_id, message.error) == ("PENDING", "p1", "")
    assert (report.found, report.moved, report.still_unknown) == (1, 1, {})
    line = Callback.objects.get(message=message)
    assert (line.source, line.outcome, line.provider_id) == ("lookup", "moved", "p1")
    assert not {NUMBER, "Hello"} & set(map(str, line.payload.values()))


@pytest.mark.parametrize("is_echoed", [True, False])
def test_a_redirected_message_is_found_by_the_number_that_it_was_sent_to(
    unknown, accepted, is_echoed
):
    message, phone = unknown(redirected_to="+393335550001"), "+393335550001"
    around = [entry(accepted(minutes), echo=is_echoed) for minutes in (20, 40)]
    at_the_gateway = entry(message, echo=is_echoed, recipient=phone, provider_id="p1")
    report = sync(listed(at_the_gateway, *around))
    assert (state_of(message), message.provider_id, message.recipient) == (
        "DELIVERED",
        "p1",
        NUMBER,
    )
    assert report.found == 1


def test_a_redirected_message_is_not_found_by_its_recipient(unknown, accepted):
    message = unknown(redirected_to="+393335550001")
    around = [entry(accepted(minutes), echo=False) for minutes in (20, 40)]
    sync(listed(entry(message, echo=False), *around))
    assert state_of(message) == "UNKNOWN"


def test_a_redirected_message_is_a_rival_of_one_to_that_number(row, unknown, accepted):
    message = unknown()
    row("UNKNOWN", 30, recipient=OTHER, redirected_to=NUMBER, body="Hello", alias="staging")
    around = [entry(accepted(minutes), echo=False) for minutes in (20, 40)]
    sync(listed(entry(message, echo=False), *around))
    assert state_of(message) == "UNKNOWN"


def test_being_found_sends_the_signal_of_acceptance(unknown):
    message, seen = unknown(), []
    receiver = lambda **extra: seen.append(extra["message"].pk)  # noqa: E731
    message_sent.connect(receiver)
    sync(listed(entry(message)))
    message_sent.disconnect(receiver)
    assert seen == [message.pk]


def test_a_word_that_is_not_known_still_says_that_it_was_accepted(unknown):
    message = unknown()
    sync(listed(entry(message, state="QUARANTINED")))
    assert state_of(message) == "NEW"


def test_a_message_is_found_even_where_the_key_of_its_signature_is_gone(unknown):
    message = unknown()
    custom = stamp(message)
    custom["_smsww"]["signature"] = "of an older key"
    sync(listed(entry(message, custom=custom)))
    assert state_of(message) == "DELIVERED"


@pytest.mark.parametrize("state", ["FAILED", "CANCELLED", "QUEUED", "SENDING"])
def test_the_list_moves_every_row_that_its_reference_names(row, unknown, state):
    message = row(state, 20)
    sync(listed(entry(message), entry(unknown())))
    assert state_of(message) == "DELIVERED"


@pytest.mark.parametrize(("state", "lease_until"), [("PENDING", None), ("SENDING", ago(15))])
def test_rows_without_an_id_and_of_a_dead_worker_are_searched_for(row, state, lease_until):
    message = row(state, 20, lease_until=lease_until)
    sync(listed(entry(message)))
    assert state_of(message) == "DELIVERED"
    assert message.provider_id


def test_a_foreign_environment_is_not_touched(unknown):
    message = unknown(environment="staging.example")
    report = sync(listed(entry(message)))
    assert (state_of(message), report.found) == ("UNKNOWN", 0)


@pytest.mark.parametrize("is_copied", [True, False])
def test_an_entry_of_staging_or_to_another_number_is_not_taken_for_ours(
    unknown, bracket, is_copied
):
    message = unknown()
    change = {"custom": stamp(message, "staging.example")} if is_copied else {"recipient": OTHER}
    report = sync(listed(entry(message, **change), *bracket))
    assert (state_of(message), reasons(report)) == ("UNKNOWN", [Reason.CONTESTED])


def test_a_second_acceptance_is_reported_and_moves_nothing(accepted):
    message = accepted(20, "PENDING")
    twin = entry(message, provider_id="second", state="REJECTED")
    report = sync(ListedBackend(entry(message, state="PENDING"), twin))
    assert (state_of(message), report.doubled) == ("PENDING", [message.reference])
    assert Callback.objects.filter(outcome="mismatch", provider_id="second").exists()


# Without references


def test_without_references_the_only_match_is_taken(unknown, accepted):
    message = unknown()
    controls = [entry(accepted(minutes), echo=False) for minutes in (10, 60)]
    sync(listed(entry(message, echo=False), *controls))
    assert state_of(message) == "DELIVERED"


def test_a_forgotten_text_is_recognised_by_its_fingerprint(unknown):
    message = unknown()
    found = entry(message, echo=False)
    Message.objects.filter(pk=message.pk).update(body="", scrubbed=True)
    sync(listed(found))
    assert state_of(message) == "DELIVERED"


def test_a_match_waits_for_the_grace_period(unknown):
    message = unknown(5)
    assert reasons(sync(listed(entry(message, echo=False)))) == [Reason.TOO_EARLY]
    assert state_of(message) == "UNKNOWN"


def test_a_list_with_gaps_gives_no_match(unknown):
    message = unknown()
    sync(ListedBackend(entry(message, echo=False), SendResult()))
    assert state_of(message) == "UNKNOWN"


@pytest.mark.parametrize("rival", ["UNKNOWN", "SENDING"])
def test_twins_stay_unknown(unknown, rival):
    message, twin = unknown(30), unknown(31)
    Message.objects.filter(pk=twin.pk).update(state=rival)
    report = sync(listed(entry(message, echo=False)))
    assert (state_of(message), report.found) == ("UNKNOWN", 0)
    assert set(reasons(report)) == {Reason.NOT_ECHOED}


def test_two_candidates_are_none(unknown):
    message = unknown()
    backend = listed(entry(message, echo=False), entry(message, echo=False))
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
def test_all_must_fit(unknown, change):
    if change.get("created_at"):
        change = {"created_at": ago(change["created_at"])}  # now, not when the tests were found
    message = unknown(sender="Acme")
    report = sync(ListedBackend(entry(message, echo=False, **change)))
    assert (state_of(message), report.found) == ("UNKNOWN", 0)


def test_where_references_are_echoed_nothing_is_taken_without(unknown, bracket):
    message = unknown()
    sync(listed(entry(message, echo=False), *bracket))
    assert state_of(message) == "UNKNOWN"


# Messages that are not finished


def test_unfinished_messages_are_refreshed_from_the_list(accepted):
    messages = [accepted(10 + number, "PENDING", total_price=None) for number in range(3)]
    backend = listed(*[entry(one, total_price=2, segments=2) for one in messages])
    report = sync(backend)
    assert {state_of(one) for one in messages} == {"DELIVERED"}
    assert all(one.checked_at for one in messages)
    assert (messages[0].total_price, report.moved, backend.asked) == (2, 3, [])


@pytest.mark.parametrize("price", [None, 0])
@pytest.mark.parametrize("newer", slow_unless((0).__eq__, [0, 350]))
def test_a_late_price_is_found_however_many_messages_are_newer(accepted, price, newer):
    message = accepted(600, total_price=price)
    entries = [entry(accepted(n / 10 + 1), total_price=1) for n in range(newer)]
    backend = listed(*entries, entry(message, total_price=3))
    report = sync(backend)
    message.refresh_from_db()
    assert message.total_price == 3
    assert report.requests <= 3


@pytest.mark.slow
@pytest.mark.parametrize(("columns", "most"), [({"state": "PENDING"}, 9), ({"total_price": 0}, 8)])
def test_a_missing_fact_is_asked_for_during_30_days_in_few_requests(accepted, columns, most):
    message = accepted(0, **columns)
    backend = ListedBackend()
    backend.records[message.provider_id] = entry(message, **columns)
    for _ in range(2 * 31):
        pass_time(message, hours=12)
        sync(backend)
    assert len(backend.asked) == most


@pytest.mark.parametrize("age", [3, 29.5])
def test_a_fact_that_comes_on_the_last_days_is_found(accepted, age):
    message = accepted(age * 24 * 60, "PENDING", total_price=None, checked_at=ago(40 * 60))
    backend = ListedBackend()
    backend.records[message.provider_id] = entry(message, total_price=3)
    sync(backend)
    assert (state_of(message), message.total_price) == ("DELIVERED", 3)


def test_a_message_without_an_id_is_searched_for_in_the_list_now_and_then(accepted, many):
    message = accepted(3 * 24 * 60, provider_id=None, total_price=None)
    backend = listed(*many(250))
    assert [sync(backend).pages for _ in range(2)] == [4, 0]
    Message.objects.filter(pk=message.pk).update(checked_at=ago(60 * 60))
    sync(listed(*many(5), entry(message, total_price=3)))
    message.refresh_from_db()
    assert (message.total_price, bool(message.provider_id)) == (3, True)


def test_the_list_alone_does_not_correct_a_final_word(accepted):
    message = accepted(60, "EXPIRED")
    backend = ListedBackend(entry(message, state="DELIVERED"))
    backend.records[message.provider_id] = entry(message, state="EXPIRED")
    backend.entries.append(entry(accepted(61, "PENDING")))
    assert sync(backend).corrected == 0
    assert state_of(message) == "EXPIRED"


def test_no_text_is_loaded_of_accepted_messages(accepted):
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
