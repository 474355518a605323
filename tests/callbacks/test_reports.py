"""The reports of another provider, by a view of the project."""

import json
from types import ModuleType
from uuid import uuid4

import pytest
from django.http import JsonResponse
from django.test import Client
from django.urls import path

from django_smsww import SendResult, apply_result, send_sms
from django_smsww.models import Callback, Message
from django_smsww.signals import message_state_changed

from ..conftest import NUMBER

pytestmark = pytest.mark.django_db(transaction=True)


def report(request):
    """A view for the callbacks of another provider, as a project writes it."""
    said = json.loads(request.body)
    result = SendResult(state=said["status"].upper(), recipient=said["to"], body=said["text"])
    return JsonResponse({"outcome": apply_result(said["id"], result)})


@pytest.fixture
def post(settings):
    settings.ROOT_URLCONF = ModuleType("urls_of_another_provider")
    settings.ROOT_URLCONF.urlpatterns = [path("reports/", report)]

    def post(name, status="delivered"):
        body = {"id": str(name), "status": status, "to": NUMBER, "text": "The secret text"}
        answer = Client().post("/reports/", body, content_type="application/json")
        return answer.json()["outcome"]

    return post


@pytest.mark.parametrize("name", ["reference", "provider_id"])
def test_a_report_moves_its_row_as_a_callback_does_and_is_kept(gateway, post, name):
    message, seen = send_sms("Hello", NUMBER), []
    receiver = lambda **extra: seen.append((extra["message"].pk, extra["message"].state))  # noqa: E731
    message_state_changed.connect(receiver)
    outcomes = [post(getattr(message, name)) for _ in range(2)]
    message_state_changed.disconnect(receiver)
    message.refresh_from_db()
    assert (message.state, outcomes[0], seen) == ("DELIVERED", "moved", [(message.pk, "DELIVERED")])
    kept = Callback.objects.get()
    assert (kept.message, kept.source, kept.outcome) == (message, "callback", "moved")
    assert (kept.state, kept.times) == ("DELIVERED", 2)
    assert not {NUMBER, "The secret text"} & set(kept.payload.values())


def test_a_late_report_and_a_word_that_is_not_known_move_nothing(gateway, post):
    message = send_sms("Hello", NUMBER)
    words = ("delivered", "pending", "evaporated")
    assert [post(message.reference, word) for word in words] == ["moved", "stood", "unknown_word"]
    message.refresh_from_db()
    assert message.state == "DELIVERED"
    assert Callback.objects.count() == 3


@pytest.mark.parametrize("name", ["", "no-such-id", uuid4()])
def test_a_report_of_no_message_says_so(gateway, post, name):
    assert post(name) == "no_row"
    assert not Callback.objects.exists()


def test_an_id_counts_for_its_alias_and_deployment_alone(gateway, make_message):
    make_message(alias="other", provider_id="p1", state="NEW")
    make_message(environment="production", provider_id="p2", state="NEW")
    assert [apply_result(name, SendResult(state="DELIVERED")) for name in ("p1", "p2")] == [
        "no_row",
        "no_row",
    ]
    assert set(Message.objects.values_list("state", flat=True)) == {"NEW"}


def test_a_report_with_the_id_of_another_message_is_a_mismatch(gateway):
    first, second = send_sms("Hello", NUMBER), send_sms("Hello again", NUMBER)
    result = SendResult(state="DELIVERED", provider_id=second.provider_id)
    assert apply_result(first.reference, result) == "mismatch"


def test_a_result_with_an_error_is_refused(gateway):
    message = send_sms("Hello", NUMBER)
    with pytest.raises(ValueError, match="give the result a state instead"):
        apply_result(message.reference, SendResult(error=ValueError()))
