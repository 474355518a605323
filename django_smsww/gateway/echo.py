"""Whether an answer of success is about the message that was sent.

The gateway echoes what a message carries: our reference, in `callback.custom` and in the header of
its callback, and the recipient. An answer that names another message belongs to another request.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from ..sms import RESERVED_CUSTOM_KEY
from .payload import digits, read_custom, unwrap
from .signature import HEADER

_NUMBER = re.compile(r"[0-9\s()+.,/-]*")


def answers_for(payload: Any, reference: UUID | None, recipient: str) -> bool | None:
    """Tell whether this message object is about this message, or None if it does not say.

    An echoed reference decides. The recipient can only speak against it, since two messages may
    go to one number.
    """
    references = set(_references_in(payload))
    if references:
        return references == {reference}
    said = unwrap(payload).get("recipient")
    return False if _is_another_number(str(said or ""), recipient) else None


def _references_in(payload: Any) -> Iterator[UUID]:
    stamp = read_custom(payload).get(RESERVED_CUSTOM_KEY)
    texts = [stamp.get("reference")] if isinstance(stamp, Mapping) else []
    texts += [value.split(":")[-2] for value in _stamped_headers(payload)]
    for text in texts:
        try:
            yield UUID(text)
        except (TypeError, ValueError, AttributeError):  # cut, masked or no text: it names none
            continue


def _stamped_headers(payload: Any) -> list[str]:
    """Return the values of our header (see `signing.header_value`) in the message's callback."""
    callback = unwrap(payload).get("callback")
    headers = callback.get("headers") if isinstance(callback, Mapping) else None
    found = headers.items() if isinstance(headers, Mapping) else ()
    return [
        value
        for name, value in found
        if name.lower() == HEADER.lower() and isinstance(value, str) and value.count(":") > 1
    ]


def _is_another_number(said: str, recipient: str) -> bool:
    """Compare digits; a text that is no number, such as a masked one, speaks against nothing."""
    spoken = digits(said) if _NUMBER.fullmatch(said) else ""
    return bool(spoken) and spoken != digits(recipient)
