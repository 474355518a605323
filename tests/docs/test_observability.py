"""What is seen from outside: log records, metrics and error reports, and nothing personal there."""

import json
import logging
import re
from functools import partial

import pytest
from asgiref.sync import async_to_sync
from django.db import transaction
from django.test import RequestFactory
from prometheus_client import REGISTRY

from django_smsww import send_sms
from django_smsww.contrib.prometheus import SMSCollector
from django_smsww.contrib.simulator.process import SimulatorProcess

from ..conftest import NUMBER
from ..support import guides, sample_project

GUIDE = "observability.md"
BODY, TOKEN = "Your code is 493817.", "s3cr3t-t0k3n"
pytestmark = pytest.mark.django_db(transaction=True)


def personal(text):
    """Return what of the message is to be read in a text."""
    return re.findall(rf"3331234567|493817|{TOKEN}", text)


block = partial(guides.run_file, GUIDE)


@pytest.fixture(scope="module")
def simulator():
    with SimulatorProcess() as running:
        yield running


@pytest.fixture
def through(settings):
    """Return a function that sends through the gateway at an address."""

    def configure(host):
        options = {"token": TOKEN, "host": host, "timeout": 5}
        settings.SMSWW = {"default": {"OPTIONS": options}}

    return configure


@pytest.fixture
def written(caplog):
    """Return a function that tells what the formatter of the guide writes of all records."""
    caplog.set_level(logging.DEBUG, "django_smsww")
    formatter = next(it for it in block("mysite/logs.py").values() if isinstance(it, type))()
    return lambda: [json.loads(formatter.format(record)) for record in caplog.records]


# Logs


def test_an_exchange_is_logged_with_its_reference_and_time(through, simulator, written):
    through(simulator.url)
    message = send_sms(BODY, NUMBER)
    [record] = [each for each in written() if each["logger"] == "django_smsww.client"]
    assert (record["reference"], record["status"]) == (str(message.reference), 201)
    assert record["request"] == "POST /WW-messages"
    assert record["seconds"] > 0
    assert personal(json.dumps(written())) == []


def test_what_nobody_waits_for_is_logged_with_its_reference(through, written):
    through("http://127.0.0.1:9")
    with transaction.atomic():
        message = send_sms(BODY, NUMBER)
    [record] = [each for each in written() if each["level"] == "WARNING"]
    assert (record["reference"], record["alias"]) == (str(message.reference), "default")
    assert personal(json.dumps(written())) == []


def test_a_callback_is_logged_with_its_reference_and_outcome(sms_callback, written):
    message = send_sms(BODY, NUMBER)
    sms_callback(message, "DELIVERED")
    sms_callback(message, "DELIVERED", forged=True)
    records = [each for each in written() if each["logger"] == "django_smsww"]
    said = [(each.get("reference"), each.get("outcome"), each.get("reason")) for each in records]
    assert said == [(str(message.reference), "moved", None), (None, None, "not_authentic")]
    assert personal(json.dumps(written())) == []


def test_the_settings_of_the_guide_name_its_formatter():
    logging_settings = block("mysite/settings.py\nLOGGING")["LOGGING"]
    assert logging_settings["formatters"]["json"]["()"] == "mysite.logs.JSONFormatter"
    assert "JSONFormatter" in block("mysite/logs.py")


# Metrics


def test_the_guide_registers_the_collector_and_names_each_metric():
    block("notices/apps.py")["NoticesConfig"].ready(None)
    [collector] = [each for each in REGISTRY._collector_to_names if type(each) is SMSCollector]
    try:
        names = [each.name for each in collector.collect()]
    finally:
        REGISTRY.unregister(collector)
    text = guides.text_of(GUIDE)
    assert [name for name in names if f"`{name}" not in text] == []


def test_the_guide_has_the_view_of_the_health_check():
    [pattern] = block("mysite/health.py")["urlpatterns"]
    response = async_to_sync(pattern.callback)(RequestFactory().get("/", {"format": "text"}))
    assert response.content == b"SMSHealthCheck(alias='default'): OK\n"


# Error reports

REPORTED = """
import json
from django.test import Client
import pytest, sentry_sdk
from sentry_sdk.transport import Transport
from django_smsww.models import Message
from django_smsww.testing import real_sms

class Kept(Transport):
    sent = []
    def capture_envelope(self, envelope):
        self.sent.append(envelope)

@pytest.mark.django_db(transaction=True)
@real_sms()
def test_it_is_reported(settings):
    settings.SMSWW = {"default": {"OPTIONS": {"token": "s3cr3t-t0k3n", "host": "http://127.0.0.1:9"}}}
    sentry_sdk.get_client().transport = Kept({})
    visitor = Client(raise_request_exception=False)
    form = {"number": "+393331234567", "text": "Your code is 493817."}
    assert visitor.post("/", form, secure=True).status_code == 500
    [envelope] = Kept.sent
    event = envelope.get_event()
    [message] = Message.objects.all()
    assert event["tags"]["sms_reference"] == str(message.reference)
    assert event["fingerprint"][:2] == ["sms", "SMSUnavailable"]
    said = envelope.serialize().decode()
    assert [it for it in ("3331234567", "493817", "s3cr3t-t0k3n") if it in said] == []
"""
URLS = """
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django_smsww import send_sms

def view(request):
    number, text = request.POST["number"], request.POST["text"]
    send_sms(text, number)

urlpatterns = [path("", csrf_exempt(view))]
"""


@pytest.mark.slow
def test_an_error_report_names_the_message_and_nothing_personal(tmp_path):
    [recipe] = [each for each in guides.blocks_of(GUIDE) if "sentry_sdk.init" in each]
    settings = sample_project.SETTINGS + recipe
    sample_project.make(tmp_path, REPORTED, settings=settings, urls=URLS)
    dsn = {"SENTRY_DSN": "http://key@127.0.0.1:9/1"}
    assert "1 passed" in sample_project.pytest(tmp_path, **dsn)
