"""Parse the body of a callback: JSON, or a form whose fields contain JSON.

The gateway does not document the payload, so the parsers accept many variants.
"""

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
    """The request of a callback. Its body is limited by `MAX_BYTES`, not by a setting of Django."""

    @property
    def data(self) -> dict[str, Any]:
        """The payload without number and text, because Sentry's reports contain `request.data`."""
        return cast(SignedCallback, self.auth).payload

    @property
    def stream(self) -> Any:
        """The stream from which a parser reads the body.

        A CDN may send the body in chunks, without a length. Under WSGI, Django reads this body as
        empty. So for a body without a length, return the server's own stream `wsgi.input`, if the
        server has set `wsgi.input_terminated`. Then the stream ends where the body ends.

        Raises:
            TooLarge: the length is more than MAX_BYTES.
            LengthRequired: the body comes in chunks, and `wsgi.input_terminated` is not set.
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
    media_type = _JSON

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Any = None
    ) -> dict[str, Any]:
        """Read and decode the body, and return the payload.

        Raises:
            Unreadable: the body does not contain an object, or the connection broke.
            TooLarge: the body is longer than MAX_BYTES.
        """
        try:
            payload = open_wraps(self.load(_read(stream)))
        except ValueError:
            payload = None  # raise it below: the ValueError quotes the body, and would be chained
        if not isinstance(payload, dict):
            raise Unreadable
        return payload

    def load(self, body: bytes) -> Any:
        """Decode a JSON body. Raise ValueError if this fails."""
        return load_json(body)


class CallbackFormParser(CallbackJSONParser):
    media_type = _FORM

    def load(self, body: bytes) -> Any:
        """Decode a form, and return the payload. Raise ValueError if this fails.

        The payload is the object in the field `data`. If `data` has no object, look at the other
        fields except `custom`: if exactly one of them has an object, this object is the payload.
        In all other cases, the payload consists of all fields. An object in the field `custom` is
        added to the payload as `custom`. A body that contains JSON is decoded as JSON, even if it
        was sent as a form.
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
    """Unwrap a payload, and the objects in some of its fields, such as `data` and `custom`.

    The gateway may wrap an object in a JSON string, or in a list with one item.
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
    """Return the content type and the body of a callback, as the gateway posts them.

    Args:
        method: "JSON", or "POST" for a form, as in the option `callback_method`.
    """
    fields = {"data": message, "custom": custom}
    if method == "POST":
        return _FORM, urlencode({name: json.dumps(value) for name, value in fields.items()})
    return _JSON, json.dumps(fields)
