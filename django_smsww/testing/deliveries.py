"""Report a delivery as the gateway would: over HTTP, through the project's own callback URL."""

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
    """Post a delivery callback for this message, and return the response.

    On-commit functions run, so signals are sent even in a TestCase. `message` itself does not
    change: call `message.refresh_from_db()` to see the new state.

    Args:
        state: the state that the callback reports, as the provider names it.
        method: "JSON", or "POST" for a form, as in the option `callback_method`.
        at: the time when the state changed at the provider; None means now. To simulate callbacks
            that arrive in the wrong order, post the later time first, and then the earlier one.
        times: how many times the same callback is posted. The last response is returned.
        forged: True signs the callback with the signature of another message. The response is a
            401, and no row changes.
        facts: more fields of the provider's message, such as `price=0.05, totalPrice=0.05`.

    Raises:
        AssertionError: a callback with a correct signature got a response other than 200.
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
    # A forged callback has the signature of another message.
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
    """Return the message as the JSON object of the provider's specification (1.2.7)."""
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
