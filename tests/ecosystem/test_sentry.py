"""Sentry, as it is by default, reports a callback that was not stored without number and text."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest
import sentry_sdk
from django.db import OperationalError
from sentry_sdk.transport import Transport

from django_smsww.callbacks import views
from tests.support.door import ENVIRONMENT, FORM, document, post, signed

JSON = "application/json"
pytestmark = pytest.mark.django_db


class Kept(Transport):
    def __init__(self):
        super().__init__({})
        self.envelopes = []

    def capture_envelope(self, envelope):
        self.envelopes.append(envelope)


@pytest.fixture
def sentry():
    transport = Kept()
    sentry_sdk.init("http://key@127.0.0.1:9/1", transport=transport)
    yield transport
    sentry_sdk.init()


@pytest.mark.parametrize("content_type", [JSON, FORM])
def test_a_callback_that_is_not_stored(sentry, make_message, monkeypatch, content_type):
    def fail(*args, **kwargs):
        raise OperationalError

    monkeypatch.setattr(views, "record", fail)
    message = make_message(environment=ENVIRONMENT, state="NEW")
    said = json.dumps({"data": document()})
    body = said if content_type == JSON else urlencode({"data": said})
    assert post(body.encode(), signed(message), content_type).status_code == 503
    reports = "".join(each.serialize().decode() for each in sentry.envelopes)
    assert str(message.reference) in reports
    assert [word for word in ("3331234567", "secret text") if word in reports] == []
