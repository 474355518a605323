"""The callback door: what the gateway says, in any form, becomes what the row says."""

import json
from decimal import Decimal
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import resolve, reverse

from django_smsww import SendResult, send_sms
from django_smsww.backends.handler import sms_backends
from django_smsww.callbacks.recording import MAX_CALLBACKS
from django_smsww.contrib.simulator.posting import build_body
from django_smsww.contrib.simulator.profiles import Profiles
from django_smsww.models import Callback, Heartbeat, Message
from django_smsww.states import State
from django_smsww.worker.queue import deliver

from ..support.door import ENVIRONMENT, FORM, URL, document, hear, mark, post, signed
from .conftest import stored

pytestmark = pytest.mark.django_db


def as_form(**fields):
    return urlencode({name: json.dumps(value) for name, value in fields.items()}).encode()


def test_a_callback_moves_its_message_and_fills_in_the_facts(message):
    assert hear(message) == "moved"
    row = stored(message)
    assert (row.state, row.provider_id, row.country) == ("DELIVERED", "provider-1", "IT")
    assert (row.price, row.total_price, row.segments) == (Decimal("0.05"), Decimal("0.05"), 1)
    assert row.delivered_at.isoformat() == "2026-03-01T10:05:00+00:00"
    assert row.finished_at is not None


def test_a_callback_is_kept_with_its_message(message):
    hear(message)
    [callback] = message.callbacks.all()
    assert (callback.reference, callback.outcome) == (message.reference, "moved")
    assert (callback.state, callback.provider_id, callback.times) == ("DELIVERED", "provider-1", 1)


def test_the_url_has_a_name_and_the_view_a_mark():
    assert reverse("django_smsww:callback") == URL
    view = resolve(URL).func
    assert view.view_class.smsww_callback is True


# The forms

PAYLOADS = ["", "payload-nested", "payload-flat"]
SIGNATURES = ["", "headers-not-sent", "custom-not-echoed"]


@pytest.mark.parametrize("method", ["JSON", "POST"])
@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("signature", SIGNATURES)
def test_every_form_that_the_gateway_may_use_is_understood(message, method, payload, signature):
    profiles = Profiles(name for name in (payload, signature) if name)
    callback = {"method": method, "field": "data", "custom": mark(message), "headers": {}}
    content_type, body = build_body(document(callback=callback), profiles)
    headers = {} if signature == "headers-not-sent" else signed(message)
    assert post(body, headers, content_type).json() == {"outcome": "moved"}
    assert stored(message).state == State.DELIVERED


@pytest.mark.parametrize(
    "fields",
    [
        {"payload": {"data": document(), "custom": None}},
        {"payload": document(), "attempt": 1},
        {"data": document(), "custom": None},
        {"data": {"data": document()}, "payload": {}},
    ],
)
def test_the_field_of_a_form_may_have_another_name(message, fields):
    assert post(as_form(**fields), signed(message), FORM).status_code == 200
    assert stored(message).state == State.DELIVERED


@pytest.mark.parametrize("custom", ["", " ", "null", "{}"])
def test_a_form_may_have_an_empty_custom_beside_the_payload(message, custom):
    payload = json.dumps({"data": document(), "custom": mark(message)})
    body = urlencode({"data": payload, "custom": custom}).encode()
    assert post(body, content_type=FORM).status_code == 200


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "Application/JSON", "application/json;q"]
)
def test_a_content_type_may_have_parameters(message, content_type):
    assert post(document(), signed(message), content_type).status_code == 200


def test_a_byte_order_mark_is_no_obstacle(message):
    body = b"\xef\xbb\xbf" + json.dumps(document()).encode()
    assert post(body, signed(message)).status_code == 200


def test_the_custom_data_of_the_user_comes_along(message):
    custom = {"order": 7} | mark(message)
    post({"data": document(), "custom": custom})
    kept = message.callbacks.get().payload["custom"]
    assert kept["order"] == 7
    assert set(kept["_smsww"]) == {"reference", "environment"}


SHAPES = {
    "data as a JSON string": lambda said, custom: {"data": json.dumps(said), "custom": custom},
    "all in strings": lambda said, custom: {"data": json.dumps(said), "custom": json.dumps(custom)},
    "a list of one": lambda said, custom: [{"data": said, "custom": custom}],
    "data as a list of one": lambda said, custom: {"data": [said], "custom": custom},
    "a list of one in a string": lambda said, custom: (
        {"data": json.dumps([said | {"custom": custom}])}
    ),
    "a string in a list": lambda said, custom: [json.dumps(said | {"custom": custom})],
    "the callback in a string": lambda said, custom: (
        said | {"callback": json.dumps({"custom": json.dumps(custom)})}
    ),
    "custom as a list of one": lambda said, custom: {"data": said, "custom": [custom]},
}


@pytest.mark.parametrize("content_type", ["application/json", FORM])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_wrapped_objects_are_read(message, shape, content_type):
    body = shape(document(id=4711), mark(message))
    response = post(json.dumps(body).encode(), content_type=content_type)
    assert response.json() == {"outcome": "moved"}
    assert (stored(message).state, stored(message).provider_id) == ("DELIVERED", "4711")
    text = json.dumps(message.callbacks.get().payload)
    assert "DELIVERED" in text
    assert "+39" not in text


def test_a_form_of_plain_fields_is_read(message):
    body = urlencode({"id": 4711, "state": "DELIVERED", "price": "0.05"}).encode()
    assert post(body, signed(message), FORM).json() == {"outcome": "moved"}
    assert stored(message).provider_id == "4711"


def test_a_form_is_authentic_by_its_custom_though_its_data_cannot_be_read(message):
    body = urlencode({"data": "{half", "custom": json.dumps(mark(message))}).encode()
    assert post(body, content_type=FORM).status_code == 400
    assert message.callbacks.get().outcome == "unknown_word"


# The order in which they come


def test_late_callback_does_not_undo_delivery(message):
    hear(message)
    assert hear(message, "PENDING", updatedAt="2026-03-01T10:01:00+00:00") == "stood"
    assert stored(message).state == State.DELIVERED
    assert message.callbacks.count() == 2


@pytest.mark.parametrize("state", [State.QUEUED, State.SENDING, State.UNKNOWN, State.FAILED])
def test_a_callback_that_overtakes_the_answer_finds_its_row(make_message, state):
    message = make_message(environment=ENVIRONMENT, state=state, error="SMSOutcomeUnknown")
    assert hear(message, "PENDING") == "moved"
    assert (stored(message).state, stored(message).error) == ("PENDING", "")


def test_the_answer_that_comes_after_its_callback_undoes_nothing(gateway):
    def answer(sms):
        hear(Message.objects.get(reference=sms.reference), id="a1")
        return SendResult(provider_id="a1", state="NEW")

    gateway.configure(environment=ENVIRONMENT)
    gateway.answer = staticmethod(answer)
    with_callback = send_sms("Hello", "+393331234567", queue=True)
    deliver(sms_backends["default"], [with_callback.pk], using="default", committed=True)
    assert (stored(with_callback).state, stored(with_callback).provider_id) == ("DELIVERED", "a1")


def test_a_repeated_callback_is_counted_and_kept_once(message):
    assert hear(message) == "moved"
    first = message.callbacks.get()
    assert hear(message) == "stood"
    callback = message.callbacks.get()
    assert (callback.times, callback.outcome) == (2, "moved")
    assert callback.received_at == first.received_at < callback.last_received_at
    assert first.last_received_at < callback.last_received_at


def test_a_ledger_full_of_callbacks_counts_on_and_keeps_no_more(message):
    for number in range(MAX_CALLBACKS + 3):
        assert hear(message, "PENDING", attempt=number) in ("moved", "stood")
    assert message.callbacks.count() == MAX_CALLBACKS
    assert message.callbacks.latest("pk").times == 4
    assert hear(message) == "moved"


# What moves nothing


def test_an_unknown_word_is_kept_and_moves_nothing(message):
    assert hear(message, "SHREDDED", id="new-id") == "unknown_word"
    assert (stored(message).state, stored(message).provider_id) == ("NEW", "new-id")
    assert message.callbacks.get().state == "SHREDDED"
    assert Heartbeat.objects.get().name == "refused:unread"


@pytest.mark.parametrize(
    "payload", [{}, {"data": None}, {"data": [1, "x"]}, {"data": {"id": []}}, {"data": "{"}]
)
def test_an_authentic_callback_without_a_state_is_kept_and_not_accepted(message, payload, caplog):
    response = post(payload, signed(message))
    said = {"error": "unreadable", "outcome": "unknown_word"}
    assert (response.status_code, response.json()) == (400, said)
    assert (stored(message).state, message.callbacks.count()) == ("NEW", 1)
    [record] = [each for each in caplog.records if each.name == "django_smsww"]
    assert (record.reference, record.reason) == (message.reference, "unreadable")


def test_a_callback_with_the_id_of_another_message_is_a_mismatch(make_message):
    message = make_message(environment=ENVIRONMENT, state=State.NEW, provider_id="mine")
    assert hear(message, id="another") == "mismatch"
    assert (stored(message).state, stored(message).provider_id) == ("NEW", "mine")
    assert message.callbacks.get().outcome == "mismatch"


def test_a_callback_that_the_answer_belies_is_a_mismatch_after_all(make_message):
    message = make_message(state=State.SENDING, environment=ENVIRONMENT)
    assert [hear(message, id="another"), hear(message, id="a1")] == ["moved", "mismatch"]
    message.accept(SendResult(provider_id="a1", state="NEW"))
    assert {each.outcome for each in message.callbacks.all()} == {"mismatch"}
    assert hear(message, id="a1", price=0.06) == "moved"


def test_an_id_that_another_row_has_is_a_mismatch(make_message, message):
    make_message(environment=ENVIRONMENT, state=State.NEW, provider_id="theirs")
    assert hear(message, id="theirs") == "mismatch"
    assert stored(message).provider_id is None


def test_a_header_and_a_payload_of_two_messages_are_a_mismatch(make_message, message):
    other = make_message(environment=ENVIRONMENT, state=State.NEW)
    response = post({"data": document(), "custom": mark(other)}, signed(message))
    assert (response.status_code, response.json()) == (200, {"outcome": "mismatch"})
    assert {stored(message).state, stored(other).state} == {"NEW"}
    assert (message.callbacks.count(), other.callbacks.count()) == (1, 0)


def test_a_message_that_is_not_here_is_kept_and_answered(db):
    foreign = Message(reference=uuid4(), environment=ENVIRONMENT)
    assert [hear(foreign), hear(foreign)] == ["no_row", "no_row"]
    callback = Callback.objects.get()
    assert (callback.message, callback.outcome, callback.times) == (None, "no_row", 2)
    assert callback.reference == foreign.reference


def test_a_row_of_another_environment_is_not_here(make_message):
    message = make_message(environment="staging", state=State.NEW)
    message.environment = ENVIRONMENT
    assert hear(message) == "no_row"
    assert stored(message).state == State.NEW
    assert Callback.objects.get().message is None


def test_a_row_that_was_missing_takes_a_repeated_callback(make_message):
    reference = uuid4()
    hear(Message(reference=reference, environment=ENVIRONMENT))
    message = make_message(reference=reference, environment=ENVIRONMENT, state=State.NEW)
    assert hear(message) == "moved"
    callback = message.callbacks.get()
    assert (callback.outcome, callback.times) == ("moved", 2)


@pytest.mark.parametrize("method", ["get", "head", "options", "put", "patch", "delete"])
def test_only_post_is_answered(message, method):
    response = getattr(Client(), method)(URL, headers=signed(message))
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")
    assert not Callback.objects.exists()
