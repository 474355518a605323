"""Spans of OpenTelemetry, in processes that have loaded it. They hold no number and no text."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .models import Message
    from .sms import SendResult


def trace_sending(message: Message, send: Callable[[], SendResult]) -> SendResult:
    """Call `send` in a span of this message, and return its result."""
    if (trace := _api()) is None:
        return send()
    attributes = {
        "smsww.reference": str(message.reference),
        "smsww.alias": message.alias,
        "smsww.segments": message.segments or 0,
    }
    tracer = trace.get_tracer("django_smsww")
    with tracer.start_as_current_span("send SMS", attributes=attributes) as span:
        result = send()
        span.set_attributes(
            {"error.type": type(result.error).__name__}
            if result.error
            else {"smsww.state": result.state}
        )
    return result


def annotate_span(**attributes: str) -> None:
    """Set attributes of the current span, such as that of the request."""
    if trace := _api():
        named = {f"smsww.{name}": value for name, value in attributes.items()}
        trace.get_current_span().set_attributes(named)


def _api() -> Any:
    """Return `opentelemetry.trace`, or None in a process that makes no spans."""
    return sys.modules.get("opentelemetry.trace")
