"""How the provider's facts are merged, whatever the order in which they come."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from django_smsww.models import Message, Outcome
from django_smsww.sms import SendResult
from django_smsww.states import Cause, State

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def hear(message, **facts):
    outcome = Message.objects.filter(pk=message.pk).accept(SendResult(**facts), Cause.EVIDENCE)
    message.refresh_from_db()
    return outcome


def test_facts_fill_empty_fields_even_when_the_state_stands(make_message):
    message = make_message(state=State.DELIVERED)
    outcome = hear(message, provider_id="a1", state="PENDING", country="IT", updated_at=NOON)
    assert outcome is Outcome.STOOD
    assert (message.state, message.provider_id, message.country) == ("DELIVERED", "a1", "IT")


def test_the_providers_count_replaces_our_preview(make_message):
    message = make_message(segments=1, characters=10, encoding="GSM-7")
    hear(message, state="NEW", segments=2, characters=80, encoding="UCS-2", updated_at=NOON)
    assert (message.segments, message.characters, message.encoding) == (2, 80, "UCS-2")


def test_an_older_version_overwrites_nothing(make_message):
    message = make_message()
    hear(message, state="PENDING", segments=2, updated_at=NOON)
    hear(message, state="NEW", segments=9, country="IT", updated_at=NOON - timedelta(seconds=1))
    assert (message.segments, message.country) == (2, "IT")
    assert message.provider_updated_at == NOON


def test_a_newer_version_overwrites(make_message):
    message = make_message()
    hear(message, state="PENDING", price=Decimal("0.05"), updated_at=NOON)
    hear(message, state="PENDING", price=Decimal("0.07"), updated_at=NOON + timedelta(seconds=1))
    assert message.price == Decimal("0.07")


@pytest.mark.parametrize("state", ["NEW", "PENDING"])
def test_zero_means_not_known_while_the_message_is_under_way(make_message, state):
    message = make_message()
    hear(message, state=state, price=Decimal(0), updated_at=NOON)
    assert message.price is None


def test_zero_is_a_price_once_the_message_is_final(make_message):
    message = make_message()
    hear(message, state="DELIVERED", price=Decimal(0), total_price=Decimal(0), updated_at=NOON)
    assert (message.price, message.total_price) == (0, 0)


def test_zero_never_replaces_a_price(make_message):
    message = make_message()
    hear(message, state="PENDING", total_price=Decimal("0.07"), updated_at=NOON)
    hear(message, state="DELIVERED", total_price=Decimal(0), updated_at=NOON + timedelta(hours=1))
    assert message.total_price == Decimal("0.07")


def test_a_late_price_replaces_zero_even_in_the_same_version(make_message):
    message = make_message()
    hear(message, state="DELIVERED", price=Decimal(0), updated_at=NOON)
    hear(message, state="DELIVERED", price=Decimal("0.07"), updated_at=NOON)
    assert message.price == Decimal("0.07")


def test_a_provider_id_is_never_replaced(make_message):
    message = make_message(provider_id="a1")
    outcome = hear(message, provider_id="b2", state="DELIVERED", country="IT")
    assert outcome is Outcome.MISMATCH
    assert (message.provider_id, message.state, message.country) == ("a1", "QUEUED", "")


def test_an_id_of_another_row_is_not_taken(make_message):
    make_message(provider_id="a1")
    message = make_message(state=State.SENDING)
    assert hear(message, provider_id="a1", state="DELIVERED") is Outcome.MISMATCH
    assert (message.provider_id, message.state) == (None, "SENDING")


def test_an_acceptance_counts_even_if_its_id_is_another_rows(make_message):
    make_message(provider_id="a1")
    message = make_message(state=State.SENDING)
    assert message.accept(SendResult(provider_id="a1", state="NEW")) is Outcome.MOVED
    message.refresh_from_db()
    assert (message.provider_id, message.state) == (None, "NEW")


FOREIGN = {"provider_id": "b2", "state": "REJECTED", "country": "ES", "price": Decimal(9)}


@pytest.mark.parametrize("heard", [FOREIGN, FOREIGN | {"state": "SHREDDED"}])
@pytest.mark.parametrize("word", ["NEW", "REJECTED", "SHREDDED"])
def test_the_answer_to_a_send_overrules_what_was_heard_of_another_message(
    make_message, heard, word
):
    message = make_message(state=State.SENDING)
    hear(message, blocklisted=True, segments=3, updated_at=NOON, **heard)
    answer = SendResult(provider_id="a1", state=word, country="IT", segments=1)
    assert message.accept(answer) is Outcome.MOVED
    message.refresh_from_db()
    assert (message.provider_id, message.country, message.segments) == ("a1", "IT", 1)
    assert message.state == ("REJECTED" if word == "REJECTED" else "NEW")
    left = (message.price, message.penalty, message.blocklisted, message.provider_updated_at)
    assert left == (None, None, False, None)


def test_an_answer_does_not_overrule_the_id_of_a_later_attempt(make_message):
    message = make_message(state=State.SENDING, claimed_at=NOON)
    Message.objects.filter(pk=message.pk).update(claimed_at=NOON + timedelta(hours=1))
    hear(message, provider_id="b2", state="NEW")
    message.claimed_at = NOON
    message.accept(SendResult(provider_id="a1", state="NEW"))
    message.refresh_from_db()
    assert message.provider_id == "b2"


def test_the_same_id_in_another_environment_is_no_twin(make_message):
    make_message(provider_id="a1", environment="staging")
    message = make_message(environment="production")
    assert hear(message, provider_id="a1", state="NEW") is Outcome.MOVED


def test_a_blocklisted_mark_stays(make_message):
    message = make_message()
    hear(message, state="REJECTED", blocklisted=True, blocklisted_reason="word", updated_at=NOON)
    hear(message, state="REJECTED", blocklisted=False, updated_at=NOON + timedelta(seconds=1))
    assert (message.blocklisted, message.blocklisted_reason) == (True, "word")


def test_a_missing_row_is_said_to_be_missing(db):
    rows = Message.objects.filter(pk=1)
    assert rows.accept(SendResult(state="NEW"), Cause.EVIDENCE) is Outcome.NO_ROW


@pytest.mark.parametrize(
    ("columns", "penalty"),
    [({}, 2), ({"route": "IT"}, Decimal("0.14")), ({"dry_run": True}, None), ({"penalty": 5}, 5)],
)
def test_what_the_provider_blocked_is_a_fine(make_message, columns, penalty):
    message = make_message(**columns)
    price = Decimal("0.14") if columns.get("route") else None
    hear(message, state="REJECTED", blocklisted=True, segments=2, total_price=price)
    assert message.penalty == penalty
