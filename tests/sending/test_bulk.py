"""Messages that share a text: it is checked once, and each keeps what is its own."""

from contextlib import contextmanager
from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.db.models.signals import post_init
from django.utils import timezone

from django_smsww import SMS, iter_send, send_mass_sms, send_messages
from django_smsww.models import Message, Suppression
from django_smsww.sending import api, new_rows

from ..support.backends import ScriptedBackend

pytestmark = pytest.mark.django_db(transaction=True)

NUMBERS = ["+393331234567", "+34600000000", "+447700900123"]
MOMENTS = ("created_at", "updated_at", "next_attempt_at", "expires_at", "finished_at")


@pytest.fixture
def openapi(settings):
    options = {"token": "t" * 24, "route": "auto", "sender": "Shop", "replace_characters": True}
    settings.SMSWW = {
        "default": {"BACKEND": "django_smsww.backends.openapi.SMSBackend", "OPTIONS": options}
    }


def columns_of(rows):
    own = {"id", "reference", "batch", *MOMENTS}
    names = [field.attname for field in Message._meta.concrete_fields if field.name not in own]
    return [tuple(getattr(row, name) for name in names) for row in rows]


@contextmanager
def ordinary(monkeypatch):
    """Let each message be checked by itself, and its row made by `Message()`."""

    def hear(**kwargs):
        pass

    post_init.connect(hear, sender=Message)
    monkeypatch.setattr(new_rows.RowMaker, "_has_plain_rules", False)
    yield
    monkeypatch.undo()
    post_init.disconnect(hear, sender=Message)


def test_the_rows_of_one_text_are_those_of_messages_alone(openapi, monkeypatch):
    options = {
        "queue": True,
        "created_by": get_user_model().objects.create(username="a"),
        "custom": {"order": {"id": 7}},
        "tag": "news",
        "priority": 3,
        "sensitive": True,
        "fail_on_multiple_messages": True,
        "send_at": timezone.now() + timedelta(hours=1),
    }
    numbers = [*NUMBERS, "nobody", "+393331234560"]
    Suppression.objects.create(recipient=numbers[-1])
    copies = send_mass_sms("“Hello”", numbers, key="a", **options)
    stored = columns_of(Message.objects.order_by("pk"))
    assert [row.created_by for row in copies] == [options["created_by"]] * 5
    Message.objects.all().delete()
    with ordinary(monkeypatch):
        alone = send_mass_sms("“Hello”", numbers, key="a", **options)
    assert columns_of(copies) == columns_of(alone)
    assert stored == columns_of(Message.objects.order_by("pk"))
    assert [row.route for row in copies] == ["IT", "ES", "WW", "", ""]
    assert [row.error_code for row in copies] == ["", "", "", "invalid", "suppressed"]
    assert len({row.key for row in copies[:3]}) == 3


def test_a_text_is_hashed_and_counted_once(gateway, monkeypatch):
    texts = []

    def count(body):
        texts.append(body)
        return {"body": body}

    monkeypatch.setattr(new_rows, "text_columns", count)
    send_mass_sms("Hello", [f"+39333{n:07}" for n in range(100)], queue=True)
    assert texts == ["Hello"]


@pytest.mark.parametrize(
    "changes", [{"priority": True}, {"key": "k" * 201}, {"key": 5}, {"tag": 0}]
)
def test_what_is_equal_or_of_one_message_alone_is_checked_too(gateway, changes):
    first = SMS("Hello", NUMBERS[0], priority=1)
    second = first.replace(recipient=NUMBERS[1], reference=uuid4(), **changes)
    rows = send_messages([first, second], queue=True)
    assert [row.error_code for row in rows] == ["", "invalid"]


def test_each_row_has_custom_data_of_its_own(gateway):
    first, second = send_mass_sms("Hello", NUMBERS[:2], custom={"n": 1}, queue=True)
    first.custom["n"] = 2
    assert second.custom == {"n": 1}


@pytest.mark.parametrize("name", ["prepare", "validate", "validate_content", "validate_recipient"])
def test_rules_of_a_backend_of_ones_own_see_each_message(gateway, monkeypatch, name):
    seen = []
    rule = getattr(ScriptedBackend, name)

    def watch(self, given):
        seen.append(given if name == "validate_recipient" else given.recipient)
        return rule(self, given)

    monkeypatch.setattr(ScriptedBackend, name, watch)
    send_mass_sms("Hello", NUMBERS, queue=True)
    assert set(NUMBERS) <= set(seen)


def test_a_route_of_ones_own_is_chosen_for_each_message_as_it_leaves(gateway, monkeypatch):
    gateway.configure(sender="Shop", dry_run=True)
    monkeypatch.setattr(
        ScriptedBackend,
        "route_for",
        lambda self, sms: f"{sms.sender}{sms.dry_run}"[:5] + sms.recipient[:3],
    )
    rows = send_mass_sms("Hello", NUMBERS, queue=True)
    assert [row.route for row in rows] == ["ShopT+39", "ShopT+34", "ShopT+44"]


def test_data_that_changes_between_two_blocks_is_checked_again(gateway, monkeypatch):
    monkeypatch.setattr(api, "QUEUED_ROWS", 1)
    custom, sms = {}, SMS("Hello", NUMBERS[0])

    def messages():
        for number, value in zip(NUMBERS, (1, float("nan"), 3), strict=True):
            custom["n"] = value
            yield SMS(sms.body, number, custom=custom)

    rows = list(iter_send(messages(), queue=True))
    assert [(row.state, row.custom) for row in rows] == [
        ("QUEUED", {"n": 1}),
        ("FAILED", {}),
        ("QUEUED", {"n": 3}),
    ]
