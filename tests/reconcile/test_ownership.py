"""The reference in the provider's record says whose id it is, and overrules a callback's word."""

from dataclasses import replace

import pytest

from django_smsww.models import Callback, Message
from django_smsww.reconcile import Reason, look_up, sync
from django_smsww.signals import message_failed

from ..support.door import document, post, signed
from ..support.provider_list import ListedBackend, entry
from .conftest import OTHER, listed, reasons, state_of

pytestmark = pytest.mark.django_db(transaction=True)


def hear(message, provider_id, state="DELIVERED"):
    """Post a callback signed for a message, with any id and a price of its own."""
    facts = {"price": 7, "totalPrice": 7, "recipient": message.recipient}
    assert post(document(state, id=provider_id, **facts), signed(message)).status_code == 200


def facts_of(message):
    message.refresh_from_db()
    return message.state, message.provider_id, message.total_price


@pytest.fixture
def pair(unknown):
    """Return two messages whose answers were lost, and their entries in the list."""
    rows = [unknown(minutes, recipient=f"+3933300000{minutes}") for minutes in (30, 31)]
    entries = [
        entry(row, provider_id=f"p{number}", state="PENDING", total_price=number)
        for number, row in enumerate(rows, 1)
    ]
    return rows, entries


@pytest.mark.parametrize("ids", [("p2", None), ("p2", "p1"), (None, "p1")])
@pytest.mark.parametrize("newest_first", [True, False])
def test_the_list_gives_each_row_its_own_id_and_facts(pair, ids, newest_first):
    rows, entries = pair
    for row, provider_id in zip(rows, ids, strict=True):
        if provider_id:
            hear(row, provider_id, "PENDING" if all(ids) else "DELIVERED")
    report = sync(ListedBackend(*entries[:: 1 if newest_first else -1]))
    assert [facts_of(row) for row in rows] == [("PENDING", "p1", 1), ("PENDING", "p2", 2)]
    assert (report.found, report.doubled, report.still_unknown) == (2, [], {})
    heard = Callback.objects.filter(source="callback").values_list("outcome", flat=True)
    assert set(heard) == {"mismatch"}


def test_a_row_whose_own_entry_is_not_listed_is_unknown_and_never_absent(pair, accepted):
    (first, second), entries = pair
    hear(first, "p2")
    controls = [entry(accepted(minutes)) for minutes in (10, 60)]
    report = sync(listed(entries[1], *controls))
    assert (facts_of(first), facts_of(second)) == (("UNKNOWN", None, None), ("PENDING", "p2", 2))
    assert (first.error_text, reasons(report)) == (Reason.KNOWN.value, [Reason.KNOWN])
    sync(listed(*entries, *controls))
    assert facts_of(first) == ("PENDING", "p1", 1)


def test_no_failure_is_announced_of_a_row_that_finds_its_own_entry(pair):
    (first, _), entries = pair
    hear(first, "p2")
    failed = []
    receiver = lambda **extra: failed.append(extra["message"].pk)  # noqa: E731
    message_failed.connect(receiver)
    sync(listed(*entries))
    message_failed.disconnect(receiver)
    assert failed == []


def test_a_wrong_id_keeps_no_other_message_from_being_proved_absent(pair, unknown, bracket):
    (first, _), entries = pair
    hear(first, "p2")
    absent = [unknown(29, recipient=f"+393330001{number:03}") for number in range(5)]
    assert sync(listed(*entries, *bracket)).proved_absent == 5
    assert {state_of(one) for one in absent} == {"FAILED"}


def test_an_id_from_the_answer_stays_and_the_message_that_the_list_names_is_not_absent(
    pair, accepted, bracket
):
    (_, second), entries = pair
    answered = accepted(31, "PENDING", provider_id="p2")
    report = sync(listed(entries[0], entries[1], *bracket))
    assert (state_of(answered), answered.provider_id) == ("PENDING", "p2")
    assert report.still_unknown == {second.reference: Reason.CONTESTED}


def test_an_entry_to_another_number_than_the_named_row_has_overrules_nothing(pair):
    (first, second), entries = pair
    hear(first, "p2")
    sync(listed(replace(entries[1], recipient=OTHER)))
    assert [state_of(first), state_of(second)] == ["DELIVERED", "UNKNOWN"]


def test_a_single_look_up_does_not_merge_the_record_of_another_message(pair, monkeypatch):
    (first, second), entries = pair
    hear(first, "p2", "PENDING")
    backend = ListedBackend()
    backend.records["p2"] = entries[1]
    monkeypatch.setattr("django_smsww.reconcile.run.sms_backends", {"default": backend})
    first.refresh_from_db()
    assert look_up(first) == "mismatch"
    sync(backend)
    assert facts_of(first) == ("UNKNOWN", None, None)
    assert facts_of(second) == ("PENDING", "p2", 2)


@pytest.mark.parametrize("is_known", [True, False])
def test_a_wrong_id_that_the_list_does_not_show_is_looked_up(pair, is_known):
    (first, second), entries = pair
    hear(first, "p2")
    backend = ListedBackend(entries[0])
    if is_known:
        backend.records["p2"] = entries[1]
    report = sync(backend)
    assert facts_of(first) == ("PENDING", "p1", 1)
    assert facts_of(second) == (("PENDING", "p2", 2) if is_known else ("UNKNOWN", None, None))
    assert (report.doubled, backend.asked) == ([], ["p2"])


def test_a_row_of_another_alias_under_its_own_id_is_not_reported_as_sent_twice(pair):
    (first, second), entries = pair
    hear(first, "p2")
    Message.objects.filter(pk=second.pk).update(alias="other", provider_id="p2", state="NEW")
    Message.objects.filter(pk=first.pk).update(state="PENDING")
    assert sync(listed(*entries)).doubled == []
    assert facts_of(first) == ("PENDING", "p1", 1)
