"""Assertions on the outbox."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

from ..backends.locmem import SentSMS, outbox

_FIELDS = frozenset(field.name for field in fields(SentSMS))


def assert_sms_sent(*, count: int | None = None, **wanted: Any) -> list[SentSMS]:
    """Assert that messages with these fields were sent, and return them, oldest first.

        [sms] = assert_sms_sent(recipient="+393331234567", body=re.compile(r"\\d{6}"))

    Args:
        count: how many they must be; None for at least one.
        wanted: fields of SentSMS, among them `recipient`, `body`, `sender`, `tag`, `custom`,
            `sensitive` and `sent_using`, the alias. A compiled pattern is searched for.
    """
    __tracebackhide__ = True  # pytest shows the line of the test instead
    if unknown := sorted({*wanted} - _FIELDS):
        raise TypeError(
            f"A message has no {', '.join(unknown)}: choose among {', '.join(sorted(_FIELDS))}."
        )
    found = [sms for sms in outbox if _has(sms, wanted)]
    if len(found) == count or (found and count is None):
        return found
    raise AssertionError(_report(len(found), count, wanted))


def _has(sms: SentSMS, wanted: dict[str, Any]) -> bool:
    return all(_agrees(getattr(sms, name), value) for name, value in wanted.items())


def _agrees(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, re.Pattern):
        return isinstance(value, str) and wanted.search(value) is not None
    return bool(value == wanted)


def _report(found: int, count: int | None, wanted: dict[str, Any]) -> str:
    """Return the failure's text, with the texts of all messages: in a test they are no secret."""
    least = "at least 1" if count is None else str(count)
    sent = [f"  {sms.recipient} ({sms.sent_using}): {sms.body!r}" for sms in outbox]
    with_what = ", ".join(f"{name}={value!r}" for name, value in wanted.items()) or "anything"
    title = f"{found} messages were sent with {with_what}, and not {least}. In the outbox:"
    return "\n".join([title, *(sent or ["  nothing"])])
