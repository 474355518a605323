"""Validate the body of a POST request that contains a message.

Error codes and texts are from specification 1.2.7. If the specification has no code for an error,
the code is UNDOCUMENTED. Values are not normalised: a number with spaces is refused, because the
gateway might refuse it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .countries import find_country
from .http import Refusal, gateway_error
from .segments import Size, measure

UNDOCUMENTED = 1000
MAX_SEGMENTS = 255
FORBIDDEN_WORD = "forbidden-word"
FORBIDDEN_SENDER = "forbidden"
UNAPPROVED_SENDER = "notapproved"
DEFAULT_SENDER = "Openapi"

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_SENDER = re.compile(r"[A-Za-z0-9 ]{3,11}")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_URL = re.compile(r"https?://[^\s/]+\S*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class NewMessage:
    route: str
    recipient: str
    prefix: str
    country: str | None
    sender: str
    body: str
    size: Size
    dry_run: bool
    fail_on_multiple: bool
    callback: dict[str, Any] | None

    @property
    def is_forbidden(self) -> bool:
        return FORBIDDEN_WORD in self.body.lower() or FORBIDDEN_SENDER in self.sender.lower()


def read_message(payload: Any, route: str) -> NewMessage:
    """Validate a request body, and return the message. Raise Refusal if the body is wrong."""
    fields = _check_object(payload)
    recipient, prefix, country = _check_recipient(fields, route)
    message = NewMessage(
        route,
        recipient,
        prefix,
        country,
        _check_sender(fields, country),
        *_check_body(fields),
        *_check_options(fields),
        _check_callback(fields),
    )
    if message.fail_on_multiple and message.size.segments > 1:
        raise _invalid("The message exceeds the length of a single part.")
    return message


def _invalid(message: str, code: int = UNDOCUMENTED) -> Refusal:
    return gateway_error(422, code, message)


def _check_object(payload: Any) -> dict[str, Any]:
    """Check that the body, ``options`` and ``callback`` are objects. None of them may be null."""
    if not isinstance(payload, dict):
        raise _invalid("The request body must be an object.")
    for name in ("options", "callback"):
        if not isinstance(payload.get(name, {}), dict):
            raise _invalid(f"{name} must be an object.")
    return payload


def _check_recipient(fields: dict[str, Any], route: str) -> tuple[str, str, str | None]:
    """Validate the recipient, and return (recipient, prefix, country)."""
    recipient = fields.get("recipient")
    if not isinstance(recipient, str) or not _E164.fullmatch(recipient):
        raise _invalid("Invalid mobile phone number. Use E.164 format.", 2011)
    prefix, country = find_country(recipient)
    if route in ("IT", "ES") and country != route:
        raise _invalid(
            "The recipient number does not belong to the supported country for this endpoint "
            f"({route}).",
            2013,
        )
    return recipient, prefix, country


def _check_sender(fields: dict[str, Any], country: str | None) -> str:
    """Return the sender, or the default sender if the field is missing, null or empty."""
    sender = fields.get("sender") or DEFAULT_SENDER
    if not isinstance(sender, str) or not _SENDER.fullmatch(sender) or not sender.strip():
        raise _invalid("Sender alias must be between 3 and 11 alphanumeric characters.", 2021)
    if sender.replace(" ", "").isdigit():
        raise _invalid("Sender alias cannot be purely numeric.", 2024)
    if sender.lower() == UNAPPROVED_SENDER:
        raise _invalid(f"Sender alias not approved for country {country}.")
    return sender


def _check_body(fields: dict[str, Any]) -> tuple[str, Size]:
    body = fields.get("message")
    if not isinstance(body, str) or not body:
        raise _invalid("message is required.")
    if any("\ud800" <= character <= "\udfff" for character in body):
        raise _invalid("message is not valid Unicode.")
    size = measure(body)
    if size.segments > MAX_SEGMENTS:
        raise _invalid(f"message exceeds {MAX_SEGMENTS} parts.")
    return body, size


def _check_options(fields: dict[str, Any]) -> tuple[bool, bool]:
    """Validate the options, and return (dryRun, failOnMultipleMessages)."""
    options = fields.get("options", {})
    values = [options.get(name, False) for name in ("dryRun", "failOnMultipleMessages")]
    if not all(isinstance(value, bool) for value in values):
        raise _invalid("dryRun and failOnMultipleMessages must be true or false.")
    return values[0], values[1]


def _check_callback(fields: dict[str, Any]) -> dict[str, Any] | None:
    """Validate the callback, and fill in defaults. Return None if the body has no callback."""
    if "callback" not in fields:
        return None
    callback = {"method": "JSON", "field": "data", "retry": 0, **fields["callback"]}
    for problem, is_wrong in _CALLBACK_RULES.items():
        if is_wrong(callback):
            raise _invalid(f"callback.{problem}")
    return callback


def _is_header(item: tuple[str, Any]) -> bool:
    name, value = item
    is_clean = isinstance(value, str) and f"{name}{value}".isascii() and value.isprintable()
    return is_clean and bool(_HEADER_NAME.fullmatch(name))


_CALLBACK_RULES: dict[str, Callable[[dict[str, Any]], bool]] = {
    "url must be a URL.": lambda it: (
        not isinstance(it.get("url"), str) or not _URL.fullmatch(it["url"])
    ),
    "method must be JSON or POST.": lambda it: it["method"] not in ("JSON", "POST"),
    "field must be a string.": lambda it: not isinstance(it["field"], str) or not it["field"],
    "retry must be between 0 and 5.": lambda it: (
        type(it["retry"]) is not int or not 0 <= it["retry"] <= 5
    ),
    "headers must be an object of strings.": lambda it: (
        not isinstance(it.get("headers", {}), dict)
        or not all(map(_is_header, it.get("headers", {}).items()))
    ),
    "custom must be an object.": lambda it: not isinstance(it.get("custom", {}), dict),
}
