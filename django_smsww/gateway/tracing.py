"""Create OpenTelemetry spans without telephone numbers and texts, if OpenTelemetry is imported."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..sms import SendResult


def trace_sending(send: Callable[[], SendResult], **attributes: str | int) -> SendResult:
    """Call `send` in a span with these attributes, and return the result of `send`."""
    if (trace := _api()) is None:
        return send()
    tracer = trace.get_tracer("django_smsww")
    with tracer.start_as_current_span("send SMS", attributes=_named(attributes)) as span:
        result = send()
        span.set_attributes(
            {"error.type": type(result.error).__name__}
            if result.error
            else {"smsww.state": result.state}
        )
    return result


def annotate_span(**attributes: str) -> None:
    if trace := _api():
        trace.get_current_span().set_attributes(_named(attributes))


def _named(attributes: Mapping[str, str | int]) -> dict[str, str | int]:
    return {f"smsww.{name}": value for name, value in attributes.items()}


def _api() -> Any:
    """Return `opentelemetry.trace`, or None if the process has not imported it."""
    return sys.modules.get("opentelemetry.trace")
