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

from ..gateway.payload import clean_text, load_json, parse_text, read_custom, read_message
from ..gateway.signature import HEADER, Stamp, read_custom_stamp, read_header_stamp
from ..sms import RESERVED_CUSTOM_KEY, SendResult

MAX_BYTES = 256 * 1024
UNREADABLE, CONTENT_TYPE = "unreadable", "content_type"

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

_MAX_WRAPS = 3
_MAX_DEPTH = 6
_WRAPPED = frozenset({"data", "custom", "callback", RESERVED_CUSTOM_KEY})

Name = tuple[UUID, str]
"""Reference and environment, which together name a row."""


class NotAuthentic(ValueError):
    """It has a signature that is not ours, or none."""


class UnreadableCallback(ValueError):
    """Its body cannot be read; the text is the reason in one word."""


@dataclass(frozen=True, slots=True)
class SignedCallback:
    """An authentic callback.

    Attributes:
        agrees: False if the header and the payload, both authentic, name different messages.
        result: the provider's facts about the message.
        payload: the payload without personal data and secrets.
        fault: why the callback tells no state, in one word; "" if it tells one.
    """

    reference: UUID
    environment: str
    agrees: bool
    result: SendResult = field(repr=False)
    payload: dict[str, Any] = field(repr=False)
    fault: str = ""

    @property
    def digest(self) -> str:
        """The digest of the payload, equal for equal payloads."""
        text = json.dumps(self.payload, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def read_callback(content_type: str, read_body: Callable[[], bytes], header: str) -> SignedCallback:
    """Read a callback.

    An authentic header names the message even if the body cannot be read: then `fault` is set.

    Args:
        read_body: returns the body, or raises UnreadableCallback.
        header: the value of the signature's header, or "".

    Raises:
        NotAuthentic: a signature is wrong, or there is none. A right one beside a wrong one does
            not count.
        UnreadableCallback: the body cannot be read, and no header names the message.
    """
    stamp = read_header_stamp(header) if header else None
    by_header = _authentic(stamp) if header else None
    try:
        payload = _read_payload(content_type, read_body)
    except UnreadableCallback as error:
        if by_header is None:
            raise
        fault = str(error)
        return SignedCallback(*by_header, True, SendResult(), {"fault": fault}, fault)
    by_custom = _named_by_custom(payload, stamp)
    name = by_header or by_custom
    if name is None:
        raise NotAuthentic
    result, agrees = read_message(payload), by_custom in (None, name)
    fault = "" if result.state else UNREADABLE
    return SignedCallback(*name, agrees, result, clean(payload), fault)


def _authentic(stamp: Stamp | None) -> Name:
    if stamp is None or not stamp.is_authentic:
        raise NotAuthentic
    return stamp.reference, stamp.environment


def _named_by_custom(payload: Mapping[str, Any], authentic: Stamp | None) -> Name | None:
    custom = read_custom(payload)
    if custom.get(RESERVED_CUSTOM_KEY) is None:
        return None
    stamp = read_custom_stamp(custom)
    if stamp is not None and stamp == authentic:  # to the letter, so it is not verified twice
        return stamp.reference, stamp.environment
    return _authentic(stamp)


def _read_payload(content_type: str, read_body: Callable[[], bytes]) -> dict[str, Any]:
    reader = _READERS.get(content_type)
    if reader is None:
        raise UnreadableCallback(CONTENT_TYPE)
    try:
        payload = open_wraps(reader(read_body()))
    except UnreadableCallback:
        raise
    except ValueError:
        payload = None  # its own text, and the exception it chains, quote the body
    if not isinstance(payload, dict):
        raise UnreadableCallback(UNREADABLE)
    return payload


def open_wraps(value: Any, depth: int = _MAX_DEPTH) -> Any:
    """Return the payload with objects in the places where the gateway may wrap one.

    A wrapped object is JSON in a string, or the only item of a list.
    """
    value = _unwrapped(value)
    if not isinstance(value, dict) or not depth:
        return value
    return {
        key: open_wraps(item, depth - 1) if key in _WRAPPED else item for key, item in value.items()
    }


def _unwrapped(value: Any) -> Any:
    for _ in range(_MAX_WRAPS):
        value = value[0] if isinstance(value, list) and len(value) == 1 else parse_text(value)
    return value


def read_form(body: bytes) -> Any:
    """Return the JSON object in a form: in its field `data`, or in the only field with an object.

    The field `custom` beside it becomes a part of the object. A form without an object is the
    object itself, and JSON that is only declared as a form is read all the same.

    Raises:
        ValueError: a field is repeated, or the form cannot be read.
    """
    text = body.decode("utf-8-sig")
    if text.lstrip().startswith(("{", "[")):
        return load_json(body)
    pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS)
    fields = {name: open_wraps(value) for name, value in pairs}
    if len(fields) != len(pairs):
        raise ValueError("a field is repeated")
    payload = _only_object(fields)
    custom = fields.get("custom")
    return payload | ({"custom": custom} if isinstance(custom, dict) and custom else {})


def _only_object(fields: dict[str, Any]) -> dict[str, Any]:
    objects = {k: v for k, v in fields.items() if k != "custom" and isinstance(v, dict)}
    if "data" in objects:
        return objects["data"]
    return next(iter(objects.values())) if len(objects) == 1 else fields


_READERS: dict[str, Callable[[bytes], Any]] = {_JSON: load_json, _FORM: read_form}
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
    # JSON inside a string would carry along the very keys that are left out elsewhere.
    return "" if value.lstrip().startswith(("{", "[{")) else clean_text(value, _MAX_TEXT)
