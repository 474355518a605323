"""Every page of the admin, over rows with all that may be said of them."""

from datetime import timedelta
from decimal import Decimal
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from django.urls import resolve, reverse
from django.utils import timezone

from django_smsww import State
from django_smsww.models import Callback, Event, Suppression, Suspension

from .people import LIST, admin_url, page

BATCH = uuid4()


@pytest.fixture
def rows(make_message):
    """A row in every state, with all that may be said of it."""
    facts = {
        "body": "“X” 12 " * 20,
        "tag": "TAG",
        "sender": "S 1",
        "key": None,
        "country": "IT",
        "batch": BATCH,
        "encoding": "UCS-2",
        "characters": 140,
        "segments": 3,
        "route": "WW",
        "provider_id": None,
        "total_price": Decimal("0.21"),
        "price": Decimal("0.07"),
        "claimed_at": timezone.now() - timedelta(hours=30),
        "sent_at": timezone.now() - timedelta(hours=29),
        "delivered_at": timezone.now() - timedelta(hours=2),
        "send_at": timezone.now() - timedelta(hours=30),
        "error": "SMSRefused",
        "error_code": "2011",
        "error_status": 422,
        "error_text": "X",
        "sensitive": True,
    }
    made = [
        make_message(state=state, **facts | {"dry_run": state == State.VALIDATED})
        for state in State
    ]
    made[0].penalty = Decimal(1)
    made[0].save()
    for message in made[:3]:
        for outcome, _label in Callback._meta.get_field("outcome").choices:
            message.callbacks.create(
                reference=message.reference,
                state="NEW",
                outcome=outcome,
                digest=outcome,
                payload={"totalPrice": len(outcome)},
                times=2,
            )
        for kind in Event.Kind:
            message.events.create(kind=kind, error="SMSUnavailable", reason="X", state="QUEUED")
    return made


@pytest.fixture
def pages(rows, settings):
    """Return the addresses of all pages of the admin."""
    backend = "django_smsww.backends.openapi.SMSBackend"
    options = {"token": "T", "account_email": "T@1", "api_key": "T"}
    settings.SMSWW = {"default": {"BACKEND": backend, "OPTIONS": options}}
    pause = Suspension.objects.create(alias="default", reason="X", error="InvalidToken")
    Suspension.objects.create(alias="default", scope="text:1", error="ContentRefused")
    entry = Suppression.objects.create(recipient="+34600000000", reason="X")
    callback = Callback.objects.first()
    failed, unknown, queued = (
        next(row for row in rows if row.state == state)
        for state in (State.FAILED, State.UNKNOWN, State.QUEUED)
    )
    plain = ("message_compose", "message_statistics", "suspension_pause", "suppression_add")
    lists = ("callback_changelist", "suspension_changelist", "suppression_changelist")
    of_rows = {
        failed: ["message_resend"],
        unknown: ["message_refresh", "message_settle"],
        queued: ["message_cancel"],
        callback: ["callback_change"],
        pause: ["suspension_change", "suspension_resume"],
        entry: ["suppression_change", "suppression_delete"],
    }
    return [
        reverse("admin:index"),
        LIST,
        f"{LIST}?batch={BATCH}",
        *map(page, rows),
        *map(admin_url, (*plain, *lists)),
        admin_url("message_statistics") + "?since=2001-01-01&until=2003-01-01",
        *(admin_url(view, BATCH) for view in ("batch_page", "batch_stop")),
        *(admin_url(view, row.pk) for row, views in of_rows.items() for view in views),
    ]


def one_of_each(pages):
    """Return a page of each view."""
    return {resolve(urlsplit(address).path).url_name: address for address in pages}.values()
