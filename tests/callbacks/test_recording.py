"""What the callback door keeps, and how it stores it."""

import json
import logging
import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from django_smsww.callbacks import recording
from django_smsww.models import Callback
from django_smsww.signals import message_sent, message_state_changed
from django_smsww.states import State

from ..support.door import ENVIRONMENT, document, hear, mark, post, signed
from .conftest import stored

pytestmark = pytest.mark.django_db


# What is kept


def test_what_is_personal_or_secret_is_not_kept(message):
    callback = {"url": "https://example.com", "headers": signed(message), "custom": mark(message)}
    extra = {"callback": callback, "otp": "#4711", "isOtp": True, "nested": [{"OTP": "#4711"}]}
    post({"data": document(**extra), "custom": mark(message)}, signed(message))
    text = json.dumps(message.callbacks.get().payload)
    signature = mark(message)["_smsww"]["signature"]
    for secret in ("+393331234567", "secret", "#4711", "account@", "https:", signature):
        assert secret not in text
    assert '"price": "0.05"' in text


def test_json_in_a_string_is_not_kept(message):
    post({"data": document(note='{"recipient": "+393331234567"}')}, signed(message))
    assert message.callbacks.get().payload["data"]["note"] == ""


def test_logs_hold_the_reference_and_nothing_personal(message, caplog):
    with caplog.at_level(logging.DEBUG):
        hear(message)
        post({"data": document(), "custom": mark(message, signature="x")})
    assert f"Callback of message {message.reference}: moved" in caplog.text
    assert "Callback refused: not_authentic" in caplog.text
    logged = " ".join(record.getMessage() for record in caplog.records if "sql" not in vars(record))
    for secret in ("393331234567", "secret", mark(message)["_smsww"]["signature"]):
        assert secret not in logged


@pytest.mark.parametrize(
    "code", [0, 0xD800, 0xDFFF], ids=["NUL", "high surrogate", "low surrogate"]
)
def test_characters_that_a_database_refuses_are_not_stored(message, code):
    odd = f"a{chr(code)}b"
    fields = dict.fromkeys(document(), odd) | {"state": "DELIVERED", odd: {odd: [odd]}}
    response = post({"data": fields, "custom": mark(message) | {odd: odd}})
    assert response.json() == {"outcome": "moved"}
    payload = message.callbacks.get().payload
    assert payload["data"]["ab"] == {"ab": ["ab"]}
    assert stored(message).provider_id == "ab"


@pytest.mark.parametrize(
    "name", ["message", "Message", "message\x00", " RECIPIENT", "o\ud800tp", "Username", "callback"]
)
def test_a_disguised_key_does_not_carry_what_is_personal(message, name):
    post(
        {
            "data": document() | {name: "#4711"},
            "custom": mark(message) | {"deep": [{name: "#4711"}]},
        }
    )
    assert "#4711" not in json.dumps(message.callbacks.get().payload)


def test_what_is_stored_is_bounded(message):
    flood = {f"key{number}" + "k" * 100: "v" * 1000 for number in range(200)}
    post({"data": document(), "custom": mark(message), "flood": flood, "list": [0] * 5000})
    payload = message.callbacks.get().payload
    assert len(payload["flood"]) == len(payload["list"]) == 100
    assert {len(value) for value in payload["flood"].values()} == {500}
    assert max(map(len, payload["flood"])) == 64


def test_numbers_of_any_size_can_be_stored(message):
    numbers = [10**4000, 1 - 2**63, 2**63 - 1, True]
    body = {"data": document(price=10**300, messageCount=-(10**300)), "numbers": numbers}
    post(body | {"custom": mark(message)})
    payload = message.callbacks.get().payload
    assert payload["numbers"] == [str(10**4000)[:500], 1 - 2**63, 2**63 - 1, True]
    assert stored(message).price is None


def test_an_equal_payload_is_known_by_its_content_and_not_by_its_order(message):
    payload = {"data": document(), "custom": mark(message)}
    turned = {name: payload[name] for name in reversed(payload)}
    assert [post(payload).status_code, post(turned).status_code] == [200, 200]
    assert message.callbacks.get().times == 2


# The database


def statements(captured):
    verbs = [query["sql"].split()[0] for query in captured.captured_queries]
    return [verb for verb in verbs if verb not in ("SAVEPOINT", "RELEASE", "BEGIN", "COMMIT")]


IN_ONE = ["WITH"] if connection.vendor == "postgresql" else []
"""The one statement in which PostgreSQL moves a row and keeps the callback."""


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("DELIVERED", IN_ONE or ["UPDATE", "INSERT"]),
        ("NEW", ["UPDATE", "UPDATE", "SELECT", "INSERT"]),
        ("SHREDDED", ["UPDATE", "SELECT", "INSERT", "UPDATE", "SELECT", "INSERT"]),  # counted
    ],
)
def test_a_callback_begins_with_a_write_and_takes_few_statements(message, state, expected):
    type(message).objects.update(provider_id="provider-1")
    with CaptureQueriesContext(connection) as captured:
        hear(message, state)
    assert statements(captured) == expected


@pytest.mark.skipif(connection.vendor != "postgresql", reason="has no such statement")
@pytest.mark.parametrize(
    "columns",
    [
        {"state": State.UNKNOWN, "provider_id": None},  # the answer is not stored yet
        {"state": State.PENDING, "provider_id": None},  # a person settled it
        {"provider_updated_at": datetime(2027, 1, 1, tzinfo=UTC)},
    ],
)
def test_a_callback_that_finds_no_older_accepted_row_goes_the_portable_way(message, columns):
    type(message).objects.update(**{"provider_id": "provider-1"} | columns)
    with CaptureQueriesContext(connection) as captured:
        hear(message, "DELIVERED")
    assert statements(captured) == [*IN_ONE, "UPDATE", "INSERT"]
    assert stored(message).state == "DELIVERED"


def test_a_disagreement_begins_with_a_write_too(make_message, message):
    other = make_message(environment=ENVIRONMENT)
    with CaptureQueriesContext(connection) as captured:
        post({"data": document(), "custom": mark(other)}, signed(message))
    assert statements(captured) == ["UPDATE", "SELECT", "INSERT"]


@pytest.mark.parametrize("state", ["DELIVERED", "NEW"])
@pytest.mark.parametrize("failing", ["UPDATE", "SELECT", "INSERT", "SAVEPOINT"])
def test_storage_that_fails_asks_for_the_callback_again(message, caplog, failing, state):
    def fail(execute, sql, *args):
        if failing in sql:
            raise OperationalError("disk full, at +393331234567")
        return execute(sql, *args)

    with connection.execute_wrapper(fail):
        response = post({"data": document(state), "custom": mark(message)})
    assert (response.status_code, response.json()) == (503, {"error": "storage"})
    assert (stored(message).state, Callback.objects.count()) == ("NEW", 0)
    assert "not stored: OperationalError" in caplog.text
    assert "393331234567" not in caplog.text


def test_an_equal_callback_that_was_first_by_a_moment_is_counted(message, monkeypatch):
    """Two equal callbacks of a message that is not here: nothing makes one wait for the other."""
    hear(message)
    real, blind = recording._known, [True]

    def known(*args):
        return {} if blind and blind.pop() else real(*args)

    monkeypatch.setattr(recording, "_known", known)
    assert hear(message) == "stood"
    assert (message.callbacks.get().times, blind) == (2, [])


def test_receivers_hear_of_it_and_cannot_undo_it(message, django_capture_on_commit_callbacks):
    heard = []

    def receive(sender, message, state, **kwargs):
        heard.append((message.pk, state))
        raise RuntimeError("a fault of the project")

    message_state_changed.connect(receive)
    message_sent.connect(receive)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            assert hear(message) == "moved"
    finally:
        message_state_changed.disconnect(receive)
        message_sent.disconnect(receive)
    assert heard == [(message.pk, "DELIVERED")]
    assert stored(message).state == State.DELIVERED


CROWD = """
import django; django.setup()
from concurrent.futures import ThreadPoolExecutor
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
call_command("migrate", verbosity=0)
from django_smsww.callbacks import recording
from django_smsww.models import Callback, Message
from tests.support.door import ENVIRONMENT, document, mark, post
rows = [
    Message.objects.create(alias="a", environment=ENVIRONMENT, state="NEW", recipient="+39",
                           expires_at=timezone.now())
    for _ in range(20)
]
def call(number):
    row, state = rows[number % 20], ("PENDING", "DELIVERED", "PENDING", "DELIVERED")[number // 20]
    payload = {"data": document(state, id=str(row.pk)), "custom": mark(row)}
    try:
        return post(payload).status_code
    finally:
        connection.close()
with ThreadPoolExecutor(8) as threads:
    print(*sorted(set(threads.map(call, range(80)))))
print(*sorted(set(Message.objects.values_list("state", flat=True))))
print(Callback.objects.count(), sum(Callback.objects.values_list("times", flat=True)))
"""


@pytest.mark.slow
def test_eight_connections_lose_nothing(new_database):
    environment = {
        "DATABASE_URL": new_database,
        "DJANGO_SETTINGS_MODULE": os.environ["DJANGO_SETTINGS_MODULE"],
    }
    done = subprocess.run(
        [sys.executable, "-c", CROWD],
        env=os.environ | environment,
        cwd=os.path.dirname(os.path.dirname(os.path.dirname(__file__))),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.splitlines() == ["200", "DELIVERED", "40 80"], done.stderr
