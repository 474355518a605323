"""What the page of a message shows beside its facts."""

from __future__ import annotations

from typing import Any

from ..models import Callback, Message
from ..states import State
from .detail.advice import advise
from .detail.timeline import timeline
from .formatting import badge, phone_number, pretty
from .permissions import HIDDEN, Viewer
from .text import MarkedText


def message_page(message: Message, viewer: Viewer, site: str) -> dict[str, Any]:
    """Return the message as it looks on a phone, what to do about it, and what happened to it."""
    return {
        "number": phone_number(message.recipient) if viewer.sees_content else HIDDEN,
        "country": message.country,
        "text": MarkedText.of(message.body) if viewer.sees_content and message.body else None,
        "sender": message.sender,
        "hidden": HIDDEN,
        "is_forgotten": message.scrubbed and not message.body,
        "state_badge": badge(message.state),
        "tone": "warn" if message.state in (State.FAILED, State.UNKNOWN) else "plain",
        "advice": advise(message),
        "timeline": timeline(message, viewer, site),
        "answer": _answer(message, viewer),
    }


def _answer(message: Message, viewer: Viewer) -> Any:
    """Return what the gateway said last, as far as the viewer may see it."""
    newest: Callback | None = message.callbacks.order_by("-last_received_at", "-pk").first()
    return pretty(viewer.payload(newest.payload)) if newest else ""
