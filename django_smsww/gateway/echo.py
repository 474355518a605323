"""Whether a response of success is about the message that was sent.

The gateway echoes the recipient and our reference, in `callback.custom` and in the header of the
callback. A response that names another message belongs to another request.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from .payload import digits, read_custom, unwrap
from .signature import HEADER, read_custom_stamp, read_header_stamp

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
    stamps = [read_custom_stamp(read_custom(payload))]
    stamps += map(read_header_stamp, _stamped_headers(payload))
    yield from (stamp.reference for stamp in stamps if stamp)


def _stamped_headers(payload: Any) -> list[str]:
    """Return the values of our header in the message's callback."""
    callback = unwrap(payload).get("callback")
    headers = callback.get("headers") if isinstance(callback, Mapping) else None
    found = headers.items() if isinstance(headers, Mapping) else ()
    return [
        value for name, value in found if name.lower() == HEADER.lower() and isinstance(value, str)
    ]


def _is_another_number(said: str, recipient: str) -> bool:
    """Compare digits; a text that is no number, such as a masked one, speaks against nothing."""
    spoken = digits(said) if _NUMBER.fullmatch(said) else ""
    return bool(spoken) and spoken != digits(recipient)
