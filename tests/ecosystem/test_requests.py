"""What stands at the public door of requests sees our requests: tracers, mocks and recorders."""

import json
from contextvars import ContextVar
from uuid import uuid4

import pytest
import requests
import requests_mock
import responses
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from django_smsww import SMSOutcomeUnknown, SMSUnavailable, send_mass_sms, send_sms
from django_smsww.contrib.simulator.process import SimulatorProcess
from django_smsww.models import Message

from .conftest import NUMBER

URL = "https://sms.example.com/WW-messages"


def accepted():
    return {"data": {"id": str(uuid4()), "state": "NEW"}}


@pytest.fixture
def gateway(settings, transactional_db):
    def configure(host):
        options = {"token": "a-token", "host": host, "concurrency": 2}
        settings.SMSWW = {"default": {"OPTIONS": options}}

    configure("https://sms.example.com")
    return configure


@pytest.fixture
def spans():
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor = RequestsInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    with provider.get_tracer("tests").start_as_current_span("view"):
        yield exporter
    instrumentor.uninstrument()


def test_opentelemetry_traces_each_request_within_its_view(gateway, spans):
    with SimulatorProcess() as simulator:
        gateway(simulator.url)
        send_sms("Hello", NUMBER)
        send_mass_sms("Hello", [f"+3933312345{n}" for n in range(10, 14)], preflight=False)
    traced = spans.get_finished_spans()
    assert [span.name for span in traced] == ["POST"] * 5
    assert len({span.context.trace_id for span in traced}) == 1
    assert all(span.parent is not None for span in traced)
    assert "Hello" not in str([dict(span.attributes) for span in traced])
    assert set(Message.objects.values_list("state", flat=True)) == {"NEW"}


def test_requests_mock_answers_in_the_place_of_the_gateway(gateway):
    with requests_mock.Mocker() as mocker:
        mocker.post(URL, json=accepted(), status_code=201)
        assert send_sms("Hello", NUMBER).state == "NEW"
    assert json.loads(mocker.last_request.text)["message"] == "Hello"
    assert mocker.last_request.headers["Authorization"] == "Bearer a-token"


def test_responses_answers_in_the_place_of_the_gateway(gateway):
    with responses.RequestsMock() as mocker:
        mocker.post(URL, json=accepted(), status=201)
        assert send_sms("Hello", NUMBER).state == "NEW"


@pytest.mark.parametrize(
    ("failure", "error"),
    [(requests.ConnectTimeout, SMSUnavailable), (requests.ReadTimeout, SMSOutcomeUnknown)],
)
def test_a_failure_that_a_mock_makes_is_taken_for_what_it_says(gateway, failure, error):
    with requests_mock.Mocker() as mocker:
        mocker.post(URL, exc=failure)
        with pytest.raises(error):
            send_sms("Hello", NUMBER)


def test_a_redirect_is_not_followed_and_a_cookie_is_not_kept(gateway):
    with requests_mock.Mocker() as mocker:
        mocker.post(URL, status_code=307, headers={"Location": "https://other.example.com/"})
        with pytest.raises(SMSOutcomeUnknown):
            send_sms("Hello", NUMBER)
        mocker.post(URL, json=accepted(), status_code=201, headers={"Set-Cookie": "a=b; Path=/"})
        send_sms("Hello", NUMBER)
        mocker.post(URL, json=accepted(), status_code=201)
        send_sms("Hello", NUMBER)
    assert "Cookie" not in mocker.last_request.headers
    assert mocker.call_count == 3


REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")


def test_each_thread_of_a_call_has_the_context_of_its_view(gateway):
    seen = []

    def answer(request, context):
        seen.append(REQUEST_ID.get())
        context.status_code = 201
        return accepted()

    REQUEST_ID.set("a-view")
    with requests_mock.Mocker() as mocker:
        mocker.post(URL, json=answer)
        send_mass_sms("Hello", [f"+3933312345{n}" for n in range(10, 16)], preflight=False)
    assert seen == ["a-view"] * 6
