"""Check that a successful response is about the message that was sent.

The gateway echoes the recipient and our reference, in `callback.custom` and in the header of the
callback. A response that names another message belongs to another request.
"""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from .payload import digits, mapping, read_custom, unwrap_message
from .signature import HEADER, read_custom_stamp, read_header_stamp

_NUMBER = re.compile(r"[0-9\s()+.,/-]*")


def answers_for(payload: Any, reference: UUID | None, recipient: str) -> bool | None:
    """Tell whether this message object is about this message, or None if it does not say.

    An echoed reference decides. The recipient can only disprove it, since two messages may go to
    one number.
    """
    references = _references_in(payload)
    if references:
        return references == {reference}
    said = unwrap_message(payload).get("recipient")
    return False if _is_another_number(str(said or ""), recipient) else None


def _references_in(payload: Any) -> set[UUID]:
    stamps = [read_custom_stamp(read_custom(payload))]
    headers = mapping(mapping(unwrap_message(payload).get("callback")).get("headers"))
    for name, value in headers.items():
        if name.lower() == HEADER.lower() and isinstance(value, str):
            stamps.append(read_header_stamp(value))
    return {stamp.reference for stamp in stamps if stamp}


def _is_another_number(said: str, recipient: str) -> bool:
    """Compare digits; a text that is no number, such as a masked one, disproves nothing."""
    spoken = digits(said) if _NUMBER.fullmatch(said) else ""
    return bool(spoken) and spoken != digits(recipient)
