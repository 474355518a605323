"""What tests post to the callback door, as the gateway would."""

import json

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from django_smsww.callbacks import refusals
from django_smsww.gateway.signature import custom_stamp, header_stamp
from django_smsww.models import Message

URL = "/sms/callback/"
ENVIRONMENT = "door.example.com"
FORM = "application/x-www-form-urlencoded"


def mark(message, **changes):
    """Return the custom object that a message was sent with."""
    custom = custom_stamp(message.reference, message.environment)
    return {"_smsww": custom["_smsww"] | changes}


def signed(message):
    """Return the headers that a message's callbacks bring back."""
    return header_stamp(message.reference, message.environment)


def document(state="DELIVERED", **fields):
    """Return the provider's message object."""
    return {
        "id": "provider-1",
        "username": "account@example.com",
        "state": state,
        "sender": "Openapi",
        "recipient": "+393331234567",
        "internationalPrefix": "39",
        "countryCode": "IT",
        "message": "The secret text",
        "encoding": "GSM-7",
        "charactersCount": 15,
        "messageCount": 1,
        "price": 0.05,
        "totalPrice": 0.05,
        "blocklisted": False,
        "blocklistedReason": None,
        "createdAt": "2026-03-01T10:00:00+00:00",
        "updatedAt": "2026-03-01T10:05:00+00:00",
        "sentAt": "2026-03-01T10:01:00+00:00",
        "deliveredAt": "2026-03-01T10:05:00+00:00" if state == "DELIVERED" else None,
    } | fields


def post(body, headers=None, content_type="application/json"):
    """Post a callback through every middleware, the check of CSRF tokens included."""
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    client = Client(enforce_csrf_checks=True)
    # As it is: post() would encode the body again, and leave the type of an empty one out.
    headers = {"Content-Type": content_type} | (headers or {})
    return client.generic("POST", URL, body, content_type, headers=headers)


def hear(message, state="DELIVERED", **fields):
    """Post an authentic callback of a message, and return the outcome that the door answered."""
    response = post({"data": document(state, **fields), "custom": mark(message)})
    assert response.status_code == 200, response.content
    return response.json()["outcome"]


def refused_with(status, body, headers=None, content_type="application/json"):
    """Post, and assert the status, that the database was not asked, and that it was counted."""
    before = refusals.refused.total()
    with CaptureQueriesContext(connection) as captured:
        response = post(body, headers, content_type)
    assert (response.status_code, len(captured)) == (status, 0), response.content
    assert refusals.refused.total() == before + 1
    return response.json()["error"]


def unread_with(status, message, body, content_type="application/json"):
    """Post a body with an authentic header; assert the status, and that it was kept and counted."""
    before = refusals.refused[refusals.UNREAD]
    response = post(body, signed(message), content_type)
    assert response.status_code == status, response.content
    assert response.json()["outcome"] == "unknown_word"
    assert refusals.refused[refusals.UNREAD] == before + 1
    assert Message.objects.get(pk=message.pk).state == "NEW"
    assert message.callbacks.latest("last_received_at").outcome == "unknown_word"
    return response.json()["error"]
