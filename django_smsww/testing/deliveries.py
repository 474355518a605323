"""Report a delivery as the gateway would: over HTTP, through the project's own callback URL."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import uuid4

from django.db import router
from django.http import HttpResponse
from django.test import Client, TestCase
from django.urls import reverse
from django.utils import timezone

from ..callbacks.parsers import write_body
from ..clock import aware_time
from ..gateway.signature import custom_stamp, header_stamp
from ..models import Message


def sms_callback(
    message: Message,
    state: str = "DELIVERED",
    *,
    method: str = "JSON",
    at: datetime | None = None,
    times: int = 1,
    forged: bool = False,
    **facts: Any,
) -> HttpResponse:
    """Post a delivery callback of this message, and return the (last) answer.

    Functions that wait for a commit run too, and so do receivers of the signals in a TestCase.
    Read the row again to see its new state.

    Args:
        state: the provider's word.
        method: "JSON", or "POST" for a form, as in the option `callback_method`.
        at: the time of the change at the provider, None for now. An earlier time than that of the
            last callback makes it a late callback.
        times: how often the same callback is posted.
        forged: sign it for another message. The answer is 401, and nothing moves.
        facts: fields of the provider's message, such as `price=0.05, totalPrice=0.05`.

    Raises:
        AssertionError: the callback was authentic, and was not answered with 200.
    """
    if method not in ("JSON", "POST") or times < 1:
        raise ValueError("method must be 'JSON' or 'POST', and times at least 1.")
    document = _document(message, state, at or timezone.now(), facts)
    using = router.db_for_write(Message)
    for _ in range(times):
        with TestCase.captureOnCommitCallbacks(using=using, execute=True):
            answer = _post(message, document, method, forged)
    if not forged and answer.status_code != 200:
        raise AssertionError(
            f"The callback was answered with {answer.status_code}: {answer.content[:200]!r}"
        )
    return answer


def _post(message: Message, document: dict[str, Any], method: str, forged: bool) -> Any:
    # A forged callback bears the signature of another message.
    signed = (uuid4() if forged else message.reference), message.environment
    custom = message.custom | custom_stamp(*signed)
    content_type, body = write_body(method, document, custom)
    named = str(signed[0]), str(message.reference)
    return Client(enforce_csrf_checks=True).post(
        reverse("django_smsww:callback"),
        body.replace(*named),
        content_type=content_type,
        headers={name: value.replace(*named) for name, value in header_stamp(*signed).items()},
        secure=True,  # a project may redirect http
    )


def _document(message: Message, state: str, at: datetime, facts: dict[str, Any]) -> dict[str, Any]:
    """Return the provider's object of a message (specification 1.2.7)."""
    moment = _iso(at)
    return {
        "id": message.provider_id or f"test-{message.reference.hex}",
        "state": state,
        "sender": message.sender or "Openapi",
        "recipient": message.sent_to,
        "message": message.body,
        "encoding": message.encoding,
        "charactersCount": message.characters,
        "messageCount": message.segments,
        "createdAt": _iso(message.created_at),
        "updatedAt": moment,
        "sentAt": _iso(message.claimed_at or message.created_at),
        "deliveredAt": moment if state == "DELIVERED" else None,
    } | facts


def _iso(moment: datetime) -> str:
    return aware_time(moment).isoformat()
