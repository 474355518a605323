"""The spans of OpenTelemetry name messages and what became of them, and nobody's number or text."""

import subprocess
import sys

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from django_smsww import InvalidToken, SMSUnavailable, send_mass_sms, send_sms
from django_smsww.backends.locmem import SMSBackend
from tests.support.door import hear

from .conftest import NUMBER

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def spans(monkeypatch):
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    return exporter.get_finished_spans


def view():
    return trace.get_tracer("tests").start_as_current_span("view")


def test_each_message_has_a_span_within_its_view(spans):
    with view():
        one = send_sms("The secret text", NUMBER)
        many = send_mass_sms("The secret text", ["+393331234568", "+393331234569"])
    *sendings, outer = spans()
    assert {span.name for span in sendings} == {"send SMS"}
    assert {span.parent.span_id for span in sendings} == {outer.context.span_id}
    references = {span.attributes["smsww.reference"] for span in sendings}
    assert references == {str(message.reference) for message in (one, *many)}
    assert dict(sendings[0].attributes) == {
        "smsww.reference": str(one.reference),
        "smsww.alias": "default",
        "smsww.segments": 1,
        "smsww.state": "NEW",
    }


@pytest.mark.parametrize("error", [SMSUnavailable, InvalidToken])
def test_a_failed_span_names_the_class_of_the_error(spans, monkeypatch, error):
    def refuse(self, sms):
        raise error(detail=NUMBER)

    monkeypatch.setattr(SMSBackend, "send", refuse)
    with pytest.raises(error):
        send_sms("The secret text", NUMBER)
    [span] = spans()
    assert span.attributes["error.type"] == error.__name__
    assert "smsww.state" not in span.attributes
    assert NUMBER not in span.to_json()


def test_a_callback_names_its_message_on_the_span_of_its_request(spans):
    message = send_sms("Hello", NUMBER)
    with view():
        hear(message, id=message.provider_id)
    assert dict(spans()[-1].attributes) == {
        "smsww.reference": str(message.reference),
        "smsww.state": "DELIVERED",
        "smsww.outcome": "moved",
    }


def test_it_is_not_loaded_for_our_sake():
    code = "import django_smsww.gateway.tracing, sys; print('opentelemetry' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
