"""Sending over REST: a repeated request sends nothing twice, and each status says what happened."""

from functools import partial

import pytest
from django.db import DatabaseError, connection
from rest_framework.test import APIClient

from django_smsww import (
    InsufficientCredit,
    SMSLimited,
    SMSOutcomeUnknown,
    SMSRefused,
    SMSUnavailable,
    send_sms,
)
from django_smsww.exceptions import ContentRefused, InvalidToken
from django_smsww.models import Event, Message, Suppression, Suspension
from tests.conftest import NUMBER, raises

from .conftest import MESSAGES, READS, at_once, page_of

pytestmark = pytest.mark.django_db(transaction=True)  # messages leave on commit

SENDS = (*READS, "send_message", "resend_message", "cancel_message")
OTHER = "+34612345678"
HELLO = {"recipient": NUMBER, "body": "Hello"}


@pytest.fixture
def sender(gateway, client_of):
    return client_of(*SENDS)


def post(client, data=HELLO, key="k-1", path=MESSAGES):
    headers = {"Idempotency-Key": key} if key else {}
    return client.post(path, data, format="json", headers=headers)


def test_a_message_is_sent_and_shown_at_its_address(sender, gateway):
    response = post(sender, HELLO | {"tag": "table", "custom": {"order": 7}})
    message = Message.objects.get()
    assert (response.status_code, response.data["state"]) == (201, "NEW")
    assert response.headers["Location"].endswith(page_of(message))
    assert sender.get(response.headers["Location"]).data["tag"] == "table"
    assert (message.created_by, message.custom) == (sender.user, {"order": 7})
    assert [(sms.recipient, sms.body) for sms in gateway.sent] == [(NUMBER, "Hello")]


def test_a_repeated_request_sends_nothing_and_shows_the_same_row(sender, gateway):
    first, second = post(sender), post(sender, HELLO | {"recipient": "+39 333 123-4567"})
    assert (second.status_code, second.data["reference"]) == (201, first.data["reference"])
    assert len(gateway.sent) == 1


@pytest.mark.parametrize("key", ["", " ", "x" * 256])
def test_a_request_without_a_usable_key_is_refused(sender, gateway, key):
    response = post(sender, key=key)
    assert response.status_code == 400
    assert "such as a UUID" in str(response.data["Idempotency-Key"])
    assert (gateway.sent, Message.objects.count()) == ([], 0)


@pytest.mark.parametrize("change", [{"recipient": OTHER}, {"body": "Bye"}])
@pytest.mark.parametrize("sensitive", [False, True])
def test_a_key_stands_for_one_number_and_one_text(sender, gateway, change, sensitive):
    post(sender, HELLO | {"sensitive": sensitive})
    response = post(sender, HELLO | {"sensitive": sensitive} | change)
    assert (response.status_code, response.data["detail"].code) == (422, "key_used")
    assert (len(gateway.sent), Message.objects.count()) == (1, 1)


def test_a_key_stands_for_one_alias(sender, settings):
    settings.SMSWW = settings.SMSWW | {"other": settings.SMSWW["default"]}
    post(sender)
    assert post(sender, HELLO | {"alias": "other"}).status_code == 422


def test_no_client_reaches_a_key_of_the_project_or_of_another_user(sender, gateway, client_of):
    other = client_of(*SENDS, name="ben")
    project = send_sms("Hello", NUMBER, key="k-1")
    assert post(sender).status_code == post(other).status_code == 201
    [guess] = Message.objects.filter(created_by=sender.user)
    post(other, key=guess.key)
    assert len(gateway.sent) == 4
    assert send_sms("Hello", NUMBER, key="k-1") == project


def test_the_key_of_a_dry_run_stands_for_dry_runs_alone(sender, gateway):
    gateway.configure()
    post(sender, HELLO | {"dry_run": True})
    post(sender)
    assert [sms.dry_run for sms in gateway.sent] == [True, False]


@pytest.mark.parametrize(
    ("error", "state", "status"),
    [
        (SMSRefused(code="2011"), "FAILED", 201),
        (ContentRefused(), "FAILED", 201),
        (SMSOutcomeUnknown(), "UNKNOWN", 202),
        (ValueError(), "UNKNOWN", 202),
    ],
)
def test_a_message_that_was_tried_answers_with_its_row(sender, gateway, error, state, status):
    gateway.answer = raises(error)
    for _ in range(2):
        response = post(sender)
        assert (response.status_code, response.data["state"]) == (status, state)
        assert response.headers["Location"].endswith(page_of(Message.objects.get()))
        assert response.data["error"] != ""
    assert len(gateway.sent) == 1


@pytest.mark.parametrize("error", [SMSUnavailable, InvalidToken, InsufficientCredit])
def test_what_was_certainly_not_sent_is_tried_again_by_the_same_key(sender, gateway, error):
    works, gateway.answer = gateway.answer, raises(error("12.50 EUR are missing", retry_after=6.2))
    response = post(sender)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "7")
    assert "12.50" not in str(response.data)
    gateway.answer = staticmethod(works)
    Suspension.objects.all().delete()
    assert post(sender).status_code == 201
    assert (Message.objects.count(), len(gateway.sent)) == (1, 2)


def test_an_answered_503_is_not_said_to_be_an_unreached_gateway(sender, gateway):
    gateway.answer = raises(SMSUnavailable(status=503))
    said = "The gateway did not accept the message; nothing was sent"
    assert post(sender).data["detail"] == said


def test_a_dry_run_without_an_answer_is_tried_again(sender, gateway):
    gateway.answer = raises(SMSOutcomeUnknown())
    assert post(sender, HELLO | {"dry_run": True}).status_code == 503


def test_a_limit_says_when_to_come_back(sender, gateway):
    gateway.configure(max_per_number=(1, 3600))
    post(sender)
    for _ in range(2):
        response = post(sender, key="k-2")
        assert response.status_code == 429
        assert 0 < int(response.headers["Retry-After"]) <= 3600
    assert len(gateway.sent) == 1


def test_a_limit_that_the_send_itself_meets_is_a_429(sender, gateway, monkeypatch):
    gateway.answer = raises(SMSLimited(code="own", retry_after=5))
    response = post(sender)
    assert (response.status_code, response.headers["Retry-After"]) == (429, "5")


def test_a_queued_message_is_accepted_and_can_be_cancelled(sender, gateway):
    gateway.configure(queue=True)
    response = post(sender)
    assert (response.status_code, response.data["state"]) == (202, "QUEUED")
    path = f"{response.headers['Location']}cancel/"
    for _ in range(2):
        assert post(sender, {"reason": "too late"}, key="", path=path).data["state"] == "CANCELLED"
    event = Event.objects.get()
    assert (event.reason, event.user) == ("too late", sender.user)
    assert post(sender).data["state"] == "CANCELLED"


def test_a_message_that_has_left_cannot_be_cancelled(sender):
    location = post(sender).headers["Location"]
    response = post(sender, {}, key="", path=f"{location}cancel/")
    assert (response.status_code, response.data["detail"]) == (409, "It is not in the queue.")


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"body": "Hello"}, "recipient"),
        (HELLO | {"recipient": "nobody"}, "recipient"),
        (HELLO | {"body": " "}, "body"),
        (HELLO | {"body": "x" * 50_000}, "body"),
        (HELLO | {"sender": "1234"}, "sender"),
        (HELLO | {"custom": {"_smsww": 1}}, "custom"),
        (HELLO | {"custom": [1]}, "custom"),
        (HELLO | {"send_at": "1900-01-01T00:00:00Z"}, "send_at"),
        (HELLO | {"expires_at": "2001-01-01T00:00:00Z"}, "expires_at"),
        (HELLO | {"alias": "nobody"}, "alias"),
        (HELLO | {"priority": 99999}, "priority"),
    ],
)
def test_a_message_that_is_not_valid_names_its_field(sender, gateway, data, field):
    response = post(sender, data)
    assert (response.status_code, list(response.data)) == (400, [field])
    assert (gateway.sent, Message.objects.count()) == ([], 0)


def test_a_number_on_the_do_not_send_list_is_refused(sender, gateway):
    Suppression.objects.create(recipient=NUMBER)
    response = post(sender)
    assert (response.status_code, response.data["recipient"][0].code) == (400, "suppressed")
    assert gateway.sent == []


def test_a_repeated_request_is_valid_even_when_it_has_expired(sender):
    first = post(sender, HELLO | {"expires_at": "2999-01-01T00:00:00Z"})
    again = post(sender, HELLO | {"expires_at": "2001-01-01T00:00:00Z"})
    assert (again.status_code, again.data["reference"]) == (201, first.data["reference"])


@pytest.mark.parametrize("wanted", SENDS[:1] + SENDS[4:5])
def test_nobody_sends_without_each_permission(gateway, client_of, wanted):
    client = client_of(*(set(SENDS) - {wanted}))
    assert post(client).status_code == 403
    assert (gateway.sent, Message.objects.count()) == ([], 0)


def test_an_anonymous_user_cannot_send_even_where_the_project_lets_everybody_in(
    gateway, db, settings
):
    settings.ROOT_URLCONF = "tests.contrib.api.own_urls"
    response = post(APIClient(), path="/open/")
    assert response.status_code in (401, 403)
    assert gateway.sent == []


def test_a_project_chooses_the_aliases_of_a_user(sender, gateway, settings):
    settings.ROOT_URLCONF = "tests.contrib.api.own_urls"
    assert list(post(sender, path="/tenant/").data) == ["alias"]
    assert gateway.sent == []


def test_a_configuration_that_cannot_be_used_is_a_503(sender, settings, caplog):
    settings.SMSWW = {"default": {"BACKEND": "no.such.Backend"}}
    response = post(sender)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "60")
    assert "no.such" not in str(response.data)


def test_a_database_that_takes_no_row_is_a_503_and_the_same_key_sends(sender, gateway, monkeypatch):
    def fail(*args, **options):
        raise DatabaseError(f"cannot store {NUMBER}")

    with monkeypatch.context() as broken:
        broken.setattr("django_smsww.models.single.insert_queued", fail)
        response = post(sender)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "60")
    assert (gateway.sent, NUMBER in str(response.data)) == ([], False)
    assert post(sender).status_code == 201
    assert len(gateway.sent) == 1


def test_a_database_that_goes_away_after_the_send_is_a_202(sender, gateway, monkeypatch):
    def fail(*args, **options):
        raise DatabaseError

    with monkeypatch.context() as broken:
        broken.setattr("django_smsww.worker.worker.Worker.write_results", fail)
        response = post(sender)
    assert (response.status_code, response.data["state"]) == (202, "SENDING")
    assert post(sender).status_code == 202
    assert len(gateway.sent) == 1


def test_a_message_leaves_before_the_answer_in_a_project_with_atomic_requests(sender, gateway):
    connection.settings_dict["ATOMIC_REQUESTS"] = True
    try:
        assert post(sender).data["state"] == "NEW"
    finally:
        connection.settings_dict["ATOMIC_REQUESTS"] = False


def resend_path(message):
    return f"{page_of(message)}resend/"


def test_a_failed_message_is_resent_once_by_the_same_key(sender, gateway, make_message):
    message = make_message(state="FAILED", error="SMSRefused")
    answers = [post(sender, {}, path=resend_path(message)) for _ in range(2)]
    new = Message.objects.get(resend_of=message)
    assert [answer.status_code for answer in answers] == [201, 201]
    assert {answer.data["reference"] for answer in answers} == {str(new.reference)}
    assert answers[0].headers["Location"].endswith(page_of(new))
    assert len(gateway.sent) == 1
    assert post(sender, {}, key="k-2", path=resend_path(message)).status_code == 409


def test_a_delivered_message_is_resent_only_if_the_request_says_so(sender, make_message):
    message = make_message(state="DELIVERED")
    assert post(sender, {}, path=resend_path(message)).status_code == 409
    assert post(sender, {"delivered": True}, path=resend_path(message)).status_code == 201


def test_a_message_of_unknown_outcome_is_not_resent(sender, gateway, make_message):
    response = post(sender, {}, path=resend_path(make_message(state="UNKNOWN")))
    assert response.status_code == 409
    assert "settle it first" in response.data["detail"]
    assert gateway.sent == []


def test_a_resend_that_fails_answers_with_its_row(sender, gateway, make_message):
    gateway.answer = raises(SMSUnavailable())
    message = make_message(state="FAILED", error="SMSRefused")
    response = post(sender, {}, path=resend_path(message))
    assert (response.status_code, response.data["state"]) == (201, "FAILED")


def test_a_key_of_a_send_does_not_resend(sender, make_message):
    post(sender)
    path = resend_path(make_message(state="FAILED", error="SMSRefused"))
    assert post(sender, {}, path=path).status_code == 422


@pytest.mark.postgresql
@pytest.mark.parametrize("action", ["send", "resend"])
def test_of_two_requests_at_once_one_sends(sender, gateway, make_message, action):
    message = make_message(state="FAILED", error="SMSRefused")
    path, data = (MESSAGES, HELLO) if action == "send" else (resend_path(message), {})
    answers = []
    for number in range(10 if action == "send" else 1):
        ask = partial(post, data=data, key=f"k-{number}", path=path)
        answers += at_once(sender.user, *[ask] * 4)
    assert {answer.status_code for answer in answers} <= {201, 202}
    assert len(gateway.sent) == len({answer.data["reference"] for answer in answers})
    assert len(gateway.sent) == (10 if action == "send" else 1)


@pytest.mark.postgresql
@pytest.mark.parametrize("change", [{"recipient": OTHER}, {"body": "Bye"}])
def test_of_two_different_requests_with_one_key_one_sends(sender, gateway, change):
    for number in range(10):
        gateway.sent.clear()
        asks = [partial(post, data=HELLO | each, key=f"k-{number}") for each in ({}, change)]
        answers = at_once(sender.user, *asks)
        [lost] = [each for each in answers if each.status_code == 422]
        [won] = [each for each in answers if each is not lost]
        assert won.status_code in (201, 202)
        assert [(sms.recipient, sms.body) for sms in gateway.sent] == [
            (won.data["recipient"], won.data["body"])
        ]
    assert Message.objects.count() == 10


@pytest.mark.parametrize("path", [MESSAGES, "/api/batches/", "/api/suppressions/"])
def test_a_body_that_is_nested_too_deep_is_not_valid(gateway, client_of, path):
    client = client_of(*SENDS, "mass_send_message", "view_suppression", "add_suppression")
    body = f'{{"recipient": "{NUMBER}", "custom": {"[" * 100_000}{"]" * 100_000}}}'
    headers = {"Idempotency-Key": "k-1"}
    response = client.post(path, body, content_type="application/json", headers=headers)
    assert (response.status_code, response.data["detail"].code) == (400, "parse_error")
    assert gateway.sent == []
