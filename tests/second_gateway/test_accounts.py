"""Both accounts of many messages, ours and the second gateway's, after all that can go wrong.

SECOND_GATEWAY_MESSAGES=10000 asks for as many; a failure names the seed, SECOND_GATEWAY_SEED.
"""

import os
from collections import Counter
from contextlib import suppress
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from django_smsww import SMSError, send_mass_sms, send_sms
from django_smsww.models import Message, Suspension

from .gateway import FINAL, TOKEN, Gateway

pytestmark = pytest.mark.django_db(transaction=True)

COUNT = int(os.environ.get("SECOND_GATEWAY_MESSAGES", "60"))
SEED = int(os.environ.get("SECOND_GATEWAY_SEED", "12"))
TEXTS = ["Ciao {}", "È pronto: {} €", "Ecco {} 🎉", "Long " * 40 + "{}"]


@pytest.fixture
def gateway(settings):
    with Gateway(SEED) as running:
        options = {
            "token": TOKEN,
            "host": running.url,
            "environment": "second.example",
            "callback_url": "http://127.0.0.1:9/sms/callback/",
            "rate_limit": "1000/s",
        }
        backend = "django_smsww.backends.openapi.SMSBackend"
        form = options | {"callback_method": "POST"}
        settings.SMSWW = {
            "default": {"BACKEND": backend, "OPTIONS": options},
            "form": {"BACKEND": backend, "OPTIONS": form},
        }
        yield running


def test_both_accounts_agree(gateway):
    send_all(gateway)
    gateway.odds = 0
    for alias in ("default", "form"):  # one that is accepted after all others
        send_sms("The last one", number(COUNT), using=alias)
    gateway.odds = 0.4
    for _ in range(3):
        gateway.pass_on()
        deliver(gateway.take_callbacks(0.7))
        sync()
    deliver(gateway.take_callbacks())  # the latest callbacks come after all
    sync()
    assert differences(gateway) == {}
    assert_money_agrees(gateway)


def send_all(gateway):
    """Send a third one by one, a third together, and a third through the worker.

    Callbacks of the first come meanwhile.
    """
    singly, together = COUNT // 3, 2 * COUNT // 3
    for place in range(singly):
        with suppress(SMSError):
            send_sms(text(place), number(place))
    gateway.pass_on()
    for first in range(singly, together, 50):
        places = range(first, min(first + 50, together))
        send_mass_sms(text(first), [number(place) for place in places], using="form")
        deliver(gateway.take_callbacks(0.3))
    for place in range(together, COUNT):
        send_sms(text(place), number(place), queue=True)
    empty_the_queue()


def empty_the_queue():
    for _ in range(50):
        call_command("smsww_worker", once=True, verbosity=0)
        waiting = Message.objects.filter(state="QUEUED")
        if not waiting.update(next_attempt_at=timezone.now()):
            return
        Suspension.objects.all().delete()


def sync():
    """Ask until the gateway has answered each request of a run."""
    for _ in range(1000):
        said = StringIO()
        try:
            call_command("smsww_sync", grace=0, verbosity=0, stdout=said)
            return
        except CommandError:
            continue  # it has printed its report
        finally:
            assert "second id" not in said.getvalue()


def text(place):
    return TEXTS[place % len(TEXTS)].format(place)


def number(place):
    return f"+3933{place:08}"


def deliver(callbacks):
    client = Client()
    for headers, kind, body in callbacks:
        answer = client.post("/sms/callback/", body, content_type=kind, headers=headers)
        assert answer.status_code == 200, answer.content


# The accounts


def reference_of(message):
    return message["callback"]["custom"]["_smsww"]["reference"]


def differences(gateway):
    """Return how often our rows and the gateway's ledger differ, by kind."""
    found = Counter()
    ledger = {}
    for message in gateway.messages.values():
        found["accepted twice"] += reference_of(message) in ledger
        ledger[reference_of(message)] = message
    rows = {str(row.reference): row for row in Message.objects.exclude(dry_run=True)}
    found["without a row"] = len(set(ledger) - set(rows))
    for reference, row in rows.items():
        found[difference(row, ledger.get(reference))] += 1
    found["rows"] = len(rows) - COUNT - 2
    return {kind: times for kind, times in found.items() if kind and times}


def difference(row, message):
    """Return in what a row and its message in the ledger differ, or ""."""
    if message is None:
        return "" if row.state == "FAILED" else f"{row.state}, and never accepted"
    if row.state != message["state"] or row.state not in FINAL:
        return f"{row.state}, and in truth {message['state']}"
    facts = (row.provider_id, row.segments, row.total_price, row.recipient)
    truth = (
        str(message["id"]),
        int(message["messageCount"]),
        Decimal(str(message["totalPrice"])),
        message["recipient"],
    )
    return "" if facts == truth else "another id, price or number"


def assert_money_agrees(gateway):
    prices = [Decimal(str(message["totalPrice"])) for message in gateway.messages.values()]
    paid = Message.objects.exclude(total_price=None).values_list("total_price", flat=True)
    assert sum(paid) == sum(prices)
    assert len(prices) > COUNT / 2
