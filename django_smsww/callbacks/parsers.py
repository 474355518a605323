"""Parsers for the body of a callback: its payload in JSON, or in a form.

The payload is documented nowhere, so they are lenient about its form.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import parse_qsl, urlencode

from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from ..gateway.payload import load_json, parse_text
from ..sms import RESERVED_CUSTOM_KEY
from .signed import SignedCallback

MAX_BYTES = 256 * 1024

_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"
_MAX_FIELDS = 50
_MAX_WRAPS = 3
_MAX_DEPTH = 6
_WRAPPED = frozenset({"data", "custom", "callback", RESERVED_CUSTOM_KEY})


class Unreadable(ParseError):
    default_detail = "It cannot be read, or tells no state."
    default_code = "unreadable"


class LengthRequired(APIException):
    status_code = 411
    default_detail = "It has no length, and the server does not end its stream."
    default_code = "no_length"


class TooLarge(APIException):
    status_code = 413
    default_detail = f"It has more than {MAX_BYTES // 1024} KiB."
    default_code = "too_large"


class CallbackRequest(Request):
    """A request whose body may come in chunks, within our limit and not the project's."""

    @property
    def data(self) -> dict[str, Any]:
        """The payload as it is kept, without number and text: Sentry reports this."""
        return cast(SignedCallback, self.auth).payload

    @property
    def stream(self) -> Any:
        """The stream of the body.

        Under WSGI Django reads nothing of a body without a length: CDNs send callbacks in chunks.
        Servers that end the stream themselves say it by `wsgi.input_terminated`.
        """
        length = self._request.META.get("CONTENT_LENGTH") or ""
        if length.isdecimal() and int(length[:20]) > MAX_BYTES:
            raise TooLarge
        environ = getattr(self._request, "environ", {})
        if not environ.get("CONTENT_LENGTH") and environ.get("wsgi.input_terminated"):
            return environ["wsgi.input"]
        if environ.get("CONTENT_LENGTH") or "HTTP_TRANSFER_ENCODING" not in environ:
            return self._request
        raise LengthRequired


class CallbackJSONParser(BaseParser):
    """Parse a callback in JSON."""

    media_type = _JSON

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Any = None
    ) -> dict[str, Any]:
        """Return the payload; `stream` is read up to our limit.

        Raises:
            Unreadable: it holds no object, or the connection broke.
            TooLarge: it has more than MAX_BYTES.
        """
        try:
            payload = open_wraps(self.load(_read(stream)))
        except ValueError:
            payload = None  # its own text, and the exception it chains, quote the body
        if not isinstance(payload, dict):
            raise Unreadable
        return payload

    def load(self, body: bytes) -> Any:
        """Return the value in the body, or raise ValueError if it cannot be read."""
        return load_json(body)


class CallbackFormParser(CallbackJSONParser):
    """Parse a callback in a form, whose fields hold JSON."""

    media_type = _FORM

    def load(self, body: bytes) -> Any:
        """Return the JSON object in the field `data`, or in the only field with an object.

        The field `custom` beside it becomes a part of the object. A form without an object is the
        object itself, and JSON that is only declared as a form is read all the same.
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


def _read(stream: Any) -> bytes:
    try:
        body = stream.read(MAX_BYTES + 1)
    except OSError:  # the connection broke
        raise Unreadable from None
    if len(body) > MAX_BYTES:
        raise TooLarge
    return body


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


def _only_object(fields: dict[str, Any]) -> dict[str, Any]:
    objects = {k: v for k, v in fields.items() if k != "custom" and isinstance(v, dict)}
    if "data" in objects:
        return objects["data"]
    return next(iter(objects.values())) if len(objects) == 1 else fields


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
