"""A look-up over REST: it asks the gateway about one message, and sends nothing."""

from datetime import timedelta

import pytest
from django.utils import timezone

from django_smsww import SendResult, SMSLimited, SMSUnavailable
from django_smsww.exceptions import InsufficientCredit
from django_smsww.reconcile import Reason

from .conftest import READS, page_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def clerk(client_of):
    return client_of(*READS, "refresh_message")


@pytest.fixture
def pending(make_message):
    return make_message(state="PENDING", provider_id="p-1")


def refresh(client, message):
    return client.post(f"{page_of(message)}refresh/")


def test_a_look_up_answers_with_the_new_state(clerk, pending, provider):
    provider.known["p-1"] = SendResult(provider_id="p-1", state="DELIVERED")
    response = refresh(clerk, pending)
    assert (response.status_code, response.data["state"]) == (200, "DELIVERED")
    assert provider.asked == ["p-1"]


def test_nothing_is_looked_up_on_get(clerk, pending, provider):
    assert clerk.get(f"{page_of(pending)}refresh/").status_code == 405
    assert provider.asked == []


def test_a_message_of_unknown_outcome_is_searched_in_the_list(clerk, make_message, provider):
    long_ago = timezone.now() - timedelta(hours=1)
    message = make_message(state="UNKNOWN", claimed_at=long_ago)
    response = refresh(clerk, message)
    assert (response.status_code, response.data["state"]) == (200, "UNKNOWN")
    assert response.data["error_text"] in {reason.value for reason in Reason}
    assert "list" in provider.asked


def test_a_message_that_the_gateway_lacks_is_a_conflict(clerk, pending, provider):
    response = refresh(clerk, pending)
    assert (response.status_code, response.data["detail"]) == (
        409,
        "The gateway has no such message.",
    )


@pytest.mark.parametrize(
    ("error", "status", "wait"),
    [
        (SMSUnavailable(retry_after=6.2), 503, "7"),
        (InsufficientCredit("12.50 EUR are missing"), 503, "60"),
        (SMSLimited(code="own", retry_after=5), 429, "5"),
    ],
)
def test_a_gateway_without_an_answer_says_when_to_come_back(
    clerk, pending, provider, error, status, wait
):
    provider.known["p-1"] = error
    response = refresh(clerk, pending)
    assert (response.status_code, response.headers["Retry-After"]) == (status, wait)
    assert "12.50" not in response.data["detail"]


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"alias": "gone"}, "alias cannot be used"),
        ({"provider_id": None}, "does not know it"),
        ({"environment": "staging.example.com"}, "belongs to another deployment"),
    ],
)
def test_what_cannot_be_looked_up_is_a_conflict(clerk, make_message, provider, columns, reason):
    response = refresh(clerk, make_message(**{"state": "NEW", "provider_id": "p-1"} | columns))
    assert response.status_code == 409
    assert reason in response.data["detail"]
    assert provider.asked == []


def test_a_look_up_reaches_no_message_outside_the_queryset(clerk, pending, provider, settings):
    settings.ROOT_URLCONF = "tests.contrib.api.own_urls"
    assert clerk.post(f"/own/{pending.reference}/refresh/").status_code == 404
    assert provider.asked == []
