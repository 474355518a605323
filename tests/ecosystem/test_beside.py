"""Packages that know nothing of this one do here what their documentation promises."""

import json
import logging
from io import StringIO
from uuid import uuid4

import pytest
import requests_mock
from django.contrib.auth import get_user_model
from django.core.management import call_command
from rest_framework.test import APIClient

from django_smsww import SMSLimited, SMSUnavailable, send_mass_sms
from tests.conftest import raises
from tests.support.door import ENVIRONMENT, hear, post, signed
from tests.support.people import EVERYTHING, LIST, browser_of, staff, text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def message(make_message):
    return make_message(state="NEW", provider_id="provider-1", environment=ENVIRONMENT)


def state_of(message):
    message.refresh_from_db()
    return message.state


# structlog: its formatter takes the records of logging, with what the request has bound


@pytest.fixture
def lines(caplog):
    """Return a function that reads the JSON that structlog has made of our log records."""
    structlog = pytest.importorskip("structlog")
    processors = [structlog.contextvars.merge_contextvars, structlog.stdlib.ExtraAdder()]
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=processors, processor=structlog.processors.JSONRenderer(default=str)
        )
    )
    caplog.set_level(logging.DEBUG, "django_smsww")
    logging.getLogger("django_smsww").addHandler(handler)
    with structlog.contextvars.bound_contextvars(request_id="r-17"):
        yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logging.getLogger("django_smsww").removeHandler(handler)


@pytest.mark.django_db(transaction=True)
def test_structlog_writes_our_records_with_the_request_id_from_every_thread(lines, settings):
    options = {"token": "a-token", "host": "https://sms.example.com", "concurrency": 3}
    settings.SMSWW = {"default": {"OPTIONS": options}}
    numbers = [f"+3933312345{n}" for n in range(10, 16)]
    answers = [{"json": {"data": {"id": f"p{n}", "state": "NEW"}}} for n in range(6)]
    with requests_mock.Mocker() as mocker:
        mocker.post("https://sms.example.com/WW-messages", answers)
        rows = send_mass_sms("Private words", numbers, preflight=False)
    sent = [line for line in lines() if "reference" in line]
    assert {line["reference"] for line in sent} == {str(row.reference) for row in rows}
    assert {line["request_id"] for line in sent} == {"r-17"}
    written = json.dumps(lines())
    assert "Private words" not in written
    assert not any(number[1:] in written for number in numbers)


# allauth: people sign up and log in, and its middleware is in the way of nobody


def test_people_log_in_by_allauth_and_see_the_history(client, message):
    pytest.importorskip("allauth")
    get_user_model().objects.create_superuser("ada", password="a-pass-word")
    answer = client.post("/accounts/login/", {"login": "ada", "password": "a-pass-word"})
    assert answer.status_code == 302
    assert str(message.pk) in text_of(client.get(LIST))


def test_people_sign_up_by_allauth(client):
    pytest.importorskip("allauth")
    passwords = {"password1": "a-long-pass-word", "password2": "a-long-pass-word"}
    answer = client.post("/accounts/signup/", {"username": "bob", **passwords})
    assert answer.status_code == 302
    assert get_user_model().objects.filter(username="bob").exists()


# drf-standardized-errors: its form for the project's views, and our words at the door


@pytest.fixture
def standardized(settings):
    pytest.importorskip("drf_standardized_errors")
    handler = "drf_standardized_errors.handler.exception_handler"
    settings.REST_FRAMEWORK = {"EXCEPTION_HANDLER": handler}


@pytest.mark.parametrize(
    ("user", "address", "kind", "code", "status"),
    [
        (None, "/api/messages/", "client_error", "not_authenticated", 403),
        ([], "/api/messages/", "client_error", "permission_denied", 403),
        (["view_message"], f"/api/messages/{uuid4()}/", "client_error", "not_found", 404),
    ],
)
def test_errors_of_the_api_have_the_standardized_form(
    standardized, settings, user, address, kind, code, status
):
    settings.ROOT_URLCONF = "tests.contrib.api.urls"
    client = APIClient()
    if user is not None:
        client.force_authenticate(staff(*user))
    answer = client.get(address)
    body = answer.json()
    assert (answer.status_code, body["type"], body["errors"][0]["code"]) == (status, kind, code)


HELLO = {"recipient": "+393331234567", "body": "Hello"}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("answer", "data", "status", "kind", "error"),
    [
        (None, HELLO | {"recipient": "nobody"}, 400, "validation_error", ("invalid", "recipient")),
        (None, {"body": "Hello"}, 400, "validation_error", ("required", "recipient")),
        (None, HELLO | {"body": "Bye"}, 422, "client_error", ("key_used", None)),
        (SMSLimited(retry_after=5), HELLO, 429, "client_error", ("limited", None)),
        (SMSUnavailable(retry_after=5), HELLO, 503, "server_error", ("unavailable", None)),
    ],
)
def test_refusals_to_send_have_the_standardized_form(
    standardized, settings, gateway, answer, data, status, kind, error
):
    settings.ROOT_URLCONF = "tests.contrib.api.urls"
    client = APIClient(raise_request_exception=False)  # the package announces a 503
    client.force_authenticate(staff("view_message", "send_message"))
    if answer:
        gateway.answer = raises(answer)
    elif status == 422:
        client.post("/api/messages/", HELLO, format="json", headers={"Idempotency-Key": "k-1"})
    response = client.post(
        "/api/messages/", data, format="json", headers={"Idempotency-Key": "k-1"}
    )
    body = response.json()
    [told] = body["errors"]
    assert (response.status_code, body["type"]) == (status, kind)
    assert (told["code"], told["attr"]) == error
    assert ("Retry-After" in response.headers) == (status in (429, 503))


def test_the_door_answers_as_ever_whatever_form_errors_have(standardized, message):
    refused = post(json.dumps({"data": {}}))
    assert refused.status_code == 401
    assert "errors" not in refused.json()
    assert hear(message) == "moved"
    assert state_of(message) == "DELIVERED"


# django-debug-toolbar: on pages of the admin with their statements, and in no answer to a callback


@pytest.fixture
def toolbar():
    pytest.importorskip("debug_toolbar")
    return {"headers": {"X-Toolbar": "yes"}}


def test_the_toolbar_stands_on_the_pages_of_the_admin_and_counts_their_statements(toolbar, message):
    page = text_of(browser_of(staff(*EVERYTHING)).get(LIST, **toolbar))
    assert 'id="djDebug"' in page
    assert "SQL" in page.partition('id="djDebug"')[2]


def test_the_toolbar_leaves_the_statements_and_answers_of_the_door_alone(toolbar, message, client):
    body = json.dumps({"data": {"id": "provider-1", "state": "DELIVERED"}})
    headers = signed(message) | toolbar["headers"]
    answer = client.post("/sms/callback/", body, content_type="application/json", headers=headers)
    assert (answer.status_code, state_of(message)) == (200, "DELIVERED")
    assert b"djDebug" not in answer.content


# All of them at once


def test_the_project_with_all_of_them_passes_its_checks_and_needs_no_migration():
    call_command("check", fail_level="WARNING")
    call_command("makemigrations", "django_smsww", check=True, dry_run=True, verbosity=0)
