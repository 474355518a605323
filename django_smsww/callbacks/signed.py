"""An authentic callback, and its payload without personal data and secrets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any
from uuid import UUID

from ..gateway.payload import clean_text
from ..gateway.signature import HEADER
from ..sms import RESERVED_CUSTOM_KEY, SendResult

if TYPE_CHECKING:
    from rest_framework.exceptions import APIException

_MAX_ITEMS = 100
_MAX_KEY = 64
_MAX_TEXT = 500
_MAX_INTEGER = 2**63 - 1
_PERSONAL_OR_SECRET = frozenset(
    {"message", "recipient", "otp", "username", "callback", HEADER.lower()}
)


@dataclass(frozen=True, slots=True)
class SignedCallback:
    """A callback with our valid signature.

    Attributes:
        agrees: False if the signed header and the signed payload name different messages.
        result: the provider's record of the message.
        payload: the payload without personal data and secrets.
        fault: the exception for the error response if the callback has no state. Otherwise, None.
    """

    reference: UUID
    environment: str
    agrees: bool
    result: SendResult = field(repr=False)
    payload: dict[str, Any] = field(repr=False)
    fault: type[APIException] | None = None

    @property
    def digest(self) -> str:
        """A digest of the payload, to recognise a callback that arrives again."""
        text = json.dumps(self.payload, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def clean(value: Any) -> Any:
    """Return a copy of a JSON value without personal data and secrets. Cut long texts and lists."""
    if isinstance(value, str):
        return _clean_string(value)
    if isinstance(value, dict):
        return _clean_object(value)
    if isinstance(value, list):
        return [clean(item) for item in value[:_MAX_ITEMS]]
    if isinstance(value, Decimal) or (isinstance(value, int) and abs(value) > _MAX_INTEGER):
        return str(value)[:_MAX_TEXT]
    return value


def _clean_object(value: dict[str, Any]) -> dict[str, Any]:
    pairs = [(clean_text(key, _MAX_KEY), item) for key, item in islice(value.items(), _MAX_ITEMS)]
    return {
        key: clean(_unsigned(item) if key == RESERVED_CUSTOM_KEY else item)
        for key, item in pairs
        if key.strip().lower() not in _PERSONAL_OR_SECRET
    }


def _unsigned(stamp: Any) -> Any:
    if not isinstance(stamp, Mapping):
        return None
    return {key: stamp.get(key) for key in ("reference", "environment")}


def _clean_string(value: str) -> str:
    # JSON in a string may hold the keys that `_clean_object` leaves out.
    return "" if value.lstrip().startswith(("{", "[{")) else clean_text(value, _MAX_TEXT)
