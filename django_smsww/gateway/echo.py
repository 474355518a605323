"""Check that a successful response is about the message that was sent.

The gateway returns the recipient and our reference (a UUID) of the message. The reference is in
`callback.custom` and in `callback.headers`. A response about another message belongs to another
request.
"""

import re
from typing import Any
from uuid import UUID

from .payload import digits, mapping, read_custom, unwrap_message
from .signature import HEADER, read_custom_stamp, read_header_stamp

_NUMBER = re.compile(r"[0-9\s()+.,/-]*")


def answers_for(payload: Any, reference: UUID | None, recipient: str) -> bool | None:
    """Whether this JSON is about the message that was sent, or None if the JSON does not tell.

    If the JSON has a reference, only the reference counts. Otherwise, a different recipient means
    False. The same recipient means None, because one number may get many messages.
    """
    references = _references_in(payload)
    if references:
        return references == {reference}
    said = str(unwrap_message(payload).get("recipient") or "")
    # A text that is no number, such as a masked number, does not tell.
    spoken = digits(said) if _NUMBER.fullmatch(said) else ""
    return False if spoken and spoken != digits(recipient) else None


def _references_in(payload: Any) -> set[UUID]:
    stamps = [read_custom_stamp(read_custom(payload))]
    headers = mapping(mapping(unwrap_message(payload).get("callback")).get("headers"))
    for name, value in headers.items():
        if name.lower() == HEADER.lower() and isinstance(value, str):
            stamps.append(read_header_stamp(value))
    return {stamp.reference for stamp in stamps if stamp}
