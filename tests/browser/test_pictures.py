"""The pictures in the documents show the admin as it is.

    PICTURES=docs pytest -n 0 -m browser tests/browser/test_pictures.py

makes them anew.
"""

import os
import random
import shutil
import struct
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.db.models import F
from django.utils import timezone

from django_smsww import State, send_sms
from django_smsww.models import Message

from ..support import guides
from ..support.people import EVERYTHING, LIST, admin_url, browser_of, staff
from .steps import log_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

TEXTS = (
    "Your table for four is booked for Saturday at 20:30.",
    "Your report is ready.",
    "Maintenance tonight at 22:00. We will be back by midnight.",
    "Reminder: Studio Verdi, tomorrow at 10:30.",
)
CURVED = (
    "Dear Anna, your appointment is confirmed for Saturday at 10:30 – “Studio Verdi”, Via Roma 12."
)
ENDS = {
    State.DELIVERED: 80,
    State.UNDELIVERABLE: 6,
    State.EXPIRED: 4,
    State.FAILED: 6,
    State.UNKNOWN: 4,
}


@pytest.fixture
def month(make_message):
    """A month of messages that looks the same each time."""
    chance = random.Random(7)
    for number in reversed(range(400)):
        sent_at = timezone.now() - timedelta(minutes=7 + number * 97)
        [state] = chance.choices(list(ENDS), list(ENDS.values()))
        country, prefix = chance.choice([("IT", "+393331"), ("IT", "+393471"), ("ES", "+346121")])
        text = chance.choice(TEXTS)
        make_message(
            recipient=f"{prefix}{chance.randrange(10**5, 10**6)}",
            body=text,
            state=state,
            created_at=sent_at,
            claimed_at=sent_at,
            delivered_at=sent_at + timedelta(seconds=4) if state == State.DELIVERED else None,
            country=country,
            encoding="GSM-7",
            segments=1,
            total_price=None if state == State.UNKNOWN else Decimal("0.069"),
            tag=("booking", "report", "notice", "reminder")[TEXTS.index(text)],
            error="SMSRefused" if state == State.FAILED else "",
            error_text="The sender is not approved." if state == State.FAILED else "",
        )


@pytest.fixture
def without_side_bar(driver):
    """The bar of Django's navigation is folded: the pictures show ours."""
    name = "django.admin.navSidebarIsOpen"
    driver.execute_script(f"localStorage.setItem('{name}', 'false')")
    yield
    driver.execute_script(f"localStorage.removeItem('{name}')")


@pytest.fixture
def delivered(sms_callback):
    message = send_sms(CURVED, "+393471234567", tag="booking", custom={"booking": 42})
    sms_callback(message, "PENDING")
    sms_callback(message, "DELIVERED", price=0.069, totalPrice=0.138)
    # It took some seconds.
    earlier = {"created_at": 14, "claimed_at": 13, "sent_at": 12, "delivered_at": 2}
    move_back(Message.objects.filter(pk=message.pk), **earlier)
    move_back(message.callbacks.filter(state="PENDING"), received_at=9)
    return message


def move_back(rows, **seconds):
    rows.update(**{name: F(name) - timedelta(seconds=late) for name, late in seconds.items()})


def size(picture):
    """Return the width and the height that the head of a PNG names."""
    return struct.unpack(">II", picture.read_bytes()[16:24])


def test_each_picture_can_be_made_and_is_1280_wide(
    driver, live_server, show, month, delivered, without_side_bar
):
    user = staff(*EVERYTHING)
    log_in(driver, live_server)
    pages = {
        "admin": LIST,
        "message": admin_url("message_change", delivered.pk),
        "statistics": admin_url("message_statistics"),
    }
    assert {f"{name}.png" for name in pages} == {path.name for path in guides.DOCS.glob("*.png")}
    while b"<progress" in browser_of(user).get(pages["statistics"]).content:
        pass  # each look adds up some days
    for name, address in pages.items():
        picture = show(address, name)
        assert size(picture)[0] == 1280
        if folder := os.environ.get("PICTURES"):
            shutil.copy(picture, Path(folder) / f"{name}.png")
