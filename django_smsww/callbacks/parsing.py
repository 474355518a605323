"""Read a delivery callback: its form, its message, and the part of its payload that may be kept.

The payload is documented nowhere, and the gateway signs nothing. So this is lenient about the form
and strict about our stamp: only the stamp names the message.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from ..gateway.payload import clean_text, load_json, read_custom, read_message
from ..gateway.signature import HEADER, Stamp, read_custom_stamp, read_header_stamp
from ..sms import RESERVED_CUSTOM_KEY, SendResult

MAX_BYTES = 256 * 1024

_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"
_MAX_FIELDS = 50
_MAX_ITEMS = 100
_MAX_KEY = 64
_MAX_TEXT = 500
_MAX_INTEGER = 2**63 - 1
_PERSONAL_OR_SECRET = frozenset(
    {"message", "recipient", "otp", "username", "callback", HEADER.lower()}
)

Name = tuple[UUID, str]
"""Reference and environment, which together name a row."""


class NotAuthentic(ValueError):
    """It has a signature that is not ours, or none."""


class UnreadableCallback(ValueError):
    """Its body is not an object, or not JSON at all."""


@dataclass(frozen=True, slots=True)
class SignedCallback:
    """An authentic callback.

    Attributes:
        agrees: False if the header and the payload, both authentic, name different messages.
        result: the provider's facts about the message.
        payload: the payload without personal data and secrets.
    """

    reference: UUID
    environment: str
    agrees: bool
    result: SendResult = field(repr=False)
    payload: dict[str, Any] = field(repr=False)

    @property
    def digest(self) -> str:
        """The digest of the payload, equal for equal payloads."""
        text = json.dumps(self.payload, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def read_callback(read: Callable[[bytes], Any], body: bytes, header: str) -> SignedCallback:
    """Read a callback that one of `READERS` can parse.

    Args:
        header: the value of the signature's header, or "".

    Raises:
        NotAuthentic: a signature is wrong, or there is none. A right one beside a wrong one does
            not count.
        UnreadableCallback: the body is not an object.
    """
    by_header = _authentic(read_header_stamp(header)) if header else None
    payload = _readable(read, body)
    by_custom = _named_by_custom(payload)
    name = by_header or by_custom
    if name is None:
        raise NotAuthentic
    return SignedCallback(
        *name,
        agrees=by_custom in (None, name),
        result=read_message(payload),
        payload=clean(payload),
    )


def _authentic(stamp: Stamp | None) -> Name:
    if stamp is None or not stamp.is_authentic:
        raise NotAuthentic
    return stamp.reference, stamp.environment


def _named_by_custom(payload: Mapping[str, Any]) -> Name | None:
    custom = read_custom(payload)
    if custom.get(RESERVED_CUSTOM_KEY) is None:
        return None
    return _authentic(read_custom_stamp(custom))


def _readable(read: Callable[[bytes], Any], body: bytes) -> dict[str, Any]:
    try:
        payload = read(body)
    except ValueError:
        payload = None  # its own text, and the exception it chains, quote the body
    if not isinstance(payload, dict):
        raise UnreadableCallback
    return payload


def read_form(body: bytes) -> Any:
    """Return the JSON object in a form: in its field `data`, or in the only field with an object.

    The field `custom` beside it becomes a part of the object.

    Raises:
        ValueError: there is no such field, or a field is repeated or cannot be read.
    """
    text = body.decode()
    pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS)
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a field is repeated")
    custom = fields.pop("custom", "").strip()
    payload = load_json(_only_object(fields).encode())
    if custom and isinstance(payload, dict):
        beside = load_json(custom.encode())
        return {**payload, "custom": beside} if beside else payload
    return payload


def _only_object(fields: dict[str, str]) -> str:
    if "data" in fields:
        return fields["data"]
    [value] = [value for value in fields.values() if value.lstrip().startswith("{")]
    return value


READERS: dict[str, Callable[[bytes], Any]] = {_JSON: load_json, _FORM: read_form}
"""By content type."""


def write_body(
    method: str, message: Mapping[str, Any], custom: Mapping[str, Any]
) -> tuple[str, str]:
    """Return content type and body of a callback, as the gateway posts it.

    Args:
        method: "JSON", or "POST" for a form, as in the option `callback_method`.
    """
    fields = {"data": message, "custom": custom}
    if method == "POST":
        return _FORM, urlencode({name: json.dumps(value) for name, value in fields.items()})
    return _JSON, json.dumps(fields)


def clean(value: Any) -> Any:
    """Return a payload in storable and bounded form, without personal data and secrets."""
    if isinstance(value, Mapping):
        return _clean_object(value)
    if isinstance(value, list):
        return [clean(item) for item in value[:_MAX_ITEMS]]
    if isinstance(value, str):
        return _clean_string(value)
    if isinstance(value, Decimal) or (isinstance(value, int) and abs(value) > _MAX_INTEGER):
        return str(value)[:_MAX_TEXT]
    return value


def _clean_object(value: Mapping[str, Any]) -> dict[str, Any]:
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
    # JSON inside a string would carry along the very keys that are left out elsewhere.
    return "" if value.lstrip().startswith(("{", "[{")) else clean_text(value, _MAX_TEXT)
