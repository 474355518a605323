"""Verifying numbers over REST."""

import re

import pytest
from django.db import connection
from django.utils.dateparse import parse_datetime

from django_smsww import InsufficientCredit, SMSOutcomeUnknown, SMSRefused, SMSUnavailable
from django_smsww.contrib.api.verification import VERIFY
from django_smsww.contrib.verification.models import Verification
from django_smsww.models import Message, Suspension
from tests.conftest import NUMBER, raises

from .conftest import MESSAGES, at_once

START, CHECK = "/api/verifications/", "/api/verifications/check/"
OTHER = "+34612345678"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def client(gateway, client_of):
    return client_of(*VERIFY)


def start(client, number=NUMBER, key="k-1"):
    headers = {"Idempotency-Key": key} if key else {}
    return client.post(START, {"number": number}, format="json", headers=headers)


def check(client, code, number=NUMBER):
    return client.post(CHECK, {"number": number, "code": code}, format="json")


def code_of(sms):
    return re.match(r"\d+", sms.body)[0]


def test_a_code_is_sent_and_verifies_its_number(client, gateway):
    response = start(client, "+39 333 123-4567")
    message = Message.objects.get()
    assert (response.status_code, list(response.data)) == (201, ["expires_at"])
    assert parse_datetime(response.data["expires_at"]) == message.expires_at
    assert (message.created_by, message.tag) == (client.user, "verification")
    verified = check(client, code_of(gateway.sent[0]))
    assert (verified.status_code, verified.data) == (200, {"number": NUMBER})


def test_a_repeated_request_sends_nothing_and_gives_no_attempts_back(client, gateway):
    first = start(client)
    check(client, "wrong")
    second = start(client)
    assert (second.status_code, second.data) == (201, first.data)
    assert (len(gateway.sent), Verification.objects.get().attempts_left) == (1, 4)
    assert check(client, code_of(gateway.sent[0])).status_code == 200
    assert start(client).status_code == 201
    assert not Verification.objects.exists()


@pytest.mark.postgresql
@pytest.mark.parametrize("cooldown", [0, 60])
def test_of_requests_at_once_with_one_key_one_sends(client, gateway, settings, cooldown):
    settings.SMSWW_VERIFICATION = {"cooldown": cooldown}
    statuses = {each.status_code for each in at_once(client.user, *[start] * 4)}
    assert statuses <= {201, 202, 429}
    [sms] = gateway.sent
    assert check(client, code_of(sms)).status_code == 200


def test_a_key_stands_for_one_number_and_not_for_messages(client_of, gateway):
    client = client_of(*VERIFY, "view_message", "send_message")
    start(client)
    assert start(client, OTHER).status_code == 422
    body, headers = {"recipient": NUMBER, "body": "Hello"}, {"Idempotency-Key": "k-1"}
    assert client.post(MESSAGES, body, format="json", headers=headers).status_code == 201
    assert [sms.body for sms in gateway.sent][1:] == ["Hello"]


def test_a_request_without_a_key_is_refused(client, gateway):
    assert start(client, key="").status_code == 400
    assert gateway.sent == []


def test_another_code_has_to_wait(client, gateway):
    start(client)
    response = start(client, key="k-2")
    assert (response.status_code, len(gateway.sent)) == (429, 1)
    assert 50 <= int(response.headers["Retry-After"]) <= 60


@pytest.mark.parametrize("number", ["", "12", "\x00", "+1" * 60])
def test_what_is_no_number_is_an_error_of_its_field(client, number):
    response = start(client, number)
    assert (response.status_code, list(response.data)) == (400, ["number"])
    assert not Message.objects.exists()


@pytest.mark.parametrize("error", [SMSUnavailable(retry_after=7), InsufficientCredit()])
def test_the_same_key_tries_again_where_nothing_was_sent(client, gateway, error):
    works = gateway.answer
    gateway.answer = raises(error)
    response = start(client)
    assert (response.status_code, "Retry-After" in response.headers) == (503, True)
    assert not Verification.objects.exists()
    gateway.answer = staticmethod(works)
    Suspension.objects.all().delete()
    assert start(client).status_code == 201
    assert check(client, code_of(gateway.sent[-1])).status_code == 200


def test_a_refused_number_is_told_and_stays_refused(client, gateway):
    gateway.answer = raises(SMSRefused())
    for _ in range(2):
        response = start(client)
        assert (response.status_code, list(response.data)) == (400, ["number"])
    assert len(gateway.sent) == 1


def test_a_code_that_may_have_been_sent_is_valid(client, gateway):
    gateway.answer = raises(SMSOutcomeUnknown())
    assert [start(client).status_code for _ in range(2)] == [202, 202]
    [sms] = gateway.sent
    assert check(client, code_of(sms)).status_code == 200


@pytest.mark.parametrize(
    ("tries", "word"), [(0, "wrong_code"), (4, "too_many_attempts"), (None, "code_expired")]
)
def test_a_refused_code_is_told_with_a_word(client, gateway, tries, word):
    if tries is not None:
        start(client)
    for _ in range(tries or 0):
        check(client, "wrong")
    response = check(client, "wrong")
    assert (response.status_code, response.data["error"]) == (400, word)
    assert [text.code for text in response.data["code"]] == [word]


def test_attempts_are_spent_under_atomic_requests_too(client, monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    assert start(client).status_code == 201
    assert check(client, "wrong").status_code == 400
    assert Verification.objects.get().attempts_left == 4


def test_a_test_number_gets_no_message(client, gateway, settings):
    settings.SMSWW_VERIFICATION = {"test_numbers": {NUMBER: "123456"}}
    assert start(client).status_code == 201
    assert (gateway.sent, check(client, "123456").status_code) == ([], 200)
