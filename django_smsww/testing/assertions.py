import re
from dataclasses import fields
from typing import Any

from ..backends.locmem import SentSMS, outbox

_FIELDS = frozenset(field.name for field in fields(SentSMS))


def assert_sms_sent(*, count: int | None = None, **wanted: Any) -> list[SentSMS]:
    """Assert that messages with these fields were sent, and return them, oldest first.

        [sms] = assert_sms_sent(recipient="+393331234567", body=re.compile(r"\\d{6}"))

    Args:
        count: the exact number of these messages; None means at least one.
        wanted: fields of SentSMS, such as `recipient`, `body`, `tag` and `sent_using` (the alias).
            A compiled regular expression needs to match only a part of the field.
    """
    __tracebackhide__ = True  # pytest shows the line of the test instead
    if unknown := sorted({*wanted} - _FIELDS):
        raise TypeError(
            f"A message has no {', '.join(unknown)}: choose among {', '.join(sorted(_FIELDS))}."
        )
    found = [
        sms for sms in outbox if all(_agrees(getattr(sms, name), wanted[name]) for name in wanted)
    ]
    if len(found) == count or (found and count is None):
        return found
    raise AssertionError(_report(len(found), count, wanted))


def _agrees(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, re.Pattern):
        return isinstance(value, str) and wanted.search(value) is not None
    return bool(value == wanted)


def _report(found: int, count: int | None, wanted: dict[str, Any]) -> str:
    """Return the text of the AssertionError, with all messages in the outbox."""
    least = "at least 1" if count is None else str(count)
    sent = [f"  {sms.recipient} ({sms.sent_using}): {sms.body!r}" for sms in outbox]
    with_what = ", ".join(f"{name}={value!r}" for name, value in wanted.items()) or "anything"
    title = f"{found} messages were sent with {with_what}, and not {least}. In the outbox:"
    return "\n".join([title, *(sent or ["  nothing"])])
