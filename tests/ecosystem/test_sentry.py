"""Sentry, as it is by default, reports our failures without number and text."""

import json
from urllib.parse import urlencode

import pytest
import sentry_sdk
from django.db import OperationalError
from rest_framework.test import APIClient
from sentry_sdk.transport import Transport

from django_smsww import send_mass_sms, send_sms
from django_smsww.callbacks import views
from django_smsww.sending.rows import RowWriter
from tests.support.door import ENVIRONMENT, FORM, document, post, signed
from tests.support.people import staff

JSON = "application/json"
pytestmark = pytest.mark.django_db


class Given:
    """What a view passes on; its own variables are its own, and Sentry shows them."""

    text = "secret text"
    number = "+393331234567"
    numbers = [number]


given = Given()


def fail(*args, **kwargs):
    raise OperationalError


class Kept(Transport):
    def __init__(self):
        super().__init__({})
        self.envelopes = []

    def capture_envelope(self, envelope):
        self.envelopes.append(envelope)

    def reports(self):
        return "".join(each.serialize().decode() for each in self.envelopes)


DSN, WORDS = "http://key@127.0.0.1:9/1", ("3331234567", "secret text")


def shown(reports):
    return [word for word in WORDS if word in reports]


@pytest.fixture
def sentry():
    transport = Kept()
    sentry_sdk.init(DSN, transport=transport)
    yield transport
    sentry_sdk.init()


@pytest.mark.parametrize("content_type", [JSON, FORM])
def test_a_callback_that_is_not_stored(sentry, make_message, monkeypatch, content_type):
    monkeypatch.setattr(views, "record", fail)
    message = make_message(environment=ENVIRONMENT, state="NEW")
    said = json.dumps({"data": document()})
    body = said if content_type == JSON else urlencode({"data": said})
    assert post(body.encode(), signed(message), content_type).status_code == 503
    reports = sentry.reports()
    assert str(message.reference) in reports
    assert shown(reports) == []


@pytest.mark.parametrize(
    "call",
    [lambda: send_sms(given.text, given.number), lambda: send_mass_sms(given.text, given.numbers)],
)
def test_a_message_that_is_not_stored(sentry, monkeypatch, call):
    monkeypatch.setattr(RowWriter, "insert", fail)
    monkeypatch.setattr(RowWriter, "write", fail)
    try:
        call()
    except OperationalError:
        sentry_sdk.capture_exception()
    assert "OperationalError" in sentry.reports()
    assert shown(sentry.reports()) == []


@pytest.mark.django_db(transaction=True)
def test_a_request_to_the_api_that_is_not_stored(sentry, monkeypatch, settings):
    # As docs/observability.md says: bodies hold what somebody wants to send.
    sentry_sdk.init(DSN, transport=sentry, max_request_body_size="never")
    settings.ROOT_URLCONF = "tests.contrib.api.urls"
    monkeypatch.setattr(RowWriter, "insert", fail)
    client = APIClient()
    client.force_login(staff("view_message", "send_message"))
    data = {"recipient": given.number, "body": given.text}
    response = client.post("/api/messages/", data, "json", headers={"Idempotency-Key": "k-1"})
    assert response.status_code == 503
    reports = sentry.reports()
    assert "Nothing was sent over the API" in reports
    assert shown(reports) == []
