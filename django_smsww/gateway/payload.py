"""Read the JSON of the gateway's responses and callbacks, leniently but within limits.

The JSON may contain nulls, unknown keys, and text in place of numbers or the reverse. A field that
cannot be read stays empty, and the other fields are still read. Only `load_json()` raises an error.
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import Any

from django.utils.dateparse import parse_datetime

from ..clock import project_time
from ..sms import SendResult

_MAX_DEPTH = 32
_MAX_COUNT = 32767
_MAX_AMOUNT = Decimal(10**6)
_MICRO = Decimal("0.000001")
_EXACT = Context(prec=50, rounding=ROUND_HALF_EVEN)
_MONEY_TEXT = re.compile(r"[+-]?(\d{1,30}(\.\d{0,30})?|\.\d{1,30})([eE][+-]?\d{1,3})?", re.ASCII)
_EARLIEST, _LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # PostgreSQL takes neither in a text
_TRUNK_ZERO = re.compile(r"\(\s*0\s*\)")
_OF_A_MESSAGE = (
    *("id", "state", "recipient", "countryCode", "encoding", "charactersCount"),
    *("messageCount", "price", "totalPrice", "blocklisted", "createdAt", "updatedAt"),
)
_UNREADABLE = object()


def load_json(body: bytes) -> Any:
    """Return the JSON value, with Decimal in place of float.

    Raise ValueError if the body is not JSON in UTF-8, or repeats a key. Also raise ValueError if
    the nesting is too deep, or a number is too long.
    """
    try:
        value = _DECODER.decode(body.decode("utf-8-sig"))
    except (RecursionError, InvalidOperation, ValueError):
        # Raised below, without this error as its context: the parser's errors quote the body.
        value = _UNREADABLE
    if value is _UNREADABLE or _is_deeper_than(_MAX_DEPTH, value):
        raise ValueError("This is not JSON that can be read.")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key is repeated")
    return result


_DECODER = json.JSONDecoder(
    parse_float=Decimal, parse_constant=_refuse_constant, object_pairs_hook=_unique
)


def _is_deeper_than(levels: int, value: Any) -> bool:
    if not isinstance(value, (dict, list)):
        return False
    items = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper_than(levels - 1, item) for item in items)


def unwrap(payload: Any) -> Any:
    """Return X from {"data": X} or {"data": {"data": X}}. Return other JSON unchanged."""
    *_, innermost = _layers(payload)
    return innermost


def unwrap_message(payload: Any) -> Any:
    """Return the message inside `data`. The message may also be the only item of a list."""
    found = unwrap(payload)
    return found[0] if isinstance(found, list) and len(found) == 1 else found


def unwrap_list(payload: Any) -> Any:
    """Return the list of messages inside `data`.

    `data` may also be an object with numeric keys: PHP writes a list with gaps in this form.
    """
    found = unwrap(payload)
    is_numbered = isinstance(found, Mapping) and all(map(str.isdecimal, found))
    return list(found.values()) if is_numbered else found


def parse_text(value: Any) -> Any:
    """Parse a text that holds a JSON object or list. Return any other value unchanged."""
    if isinstance(value, str) and value.lstrip().startswith(("{", "[")):
        try:
            return load_json(value.encode())
        except ValueError:
            return value
    return value


def _layers(payload: Any) -> Iterator[Any]:
    yield payload
    for _ in range(2):
        if not isinstance(payload, Mapping) or "data" not in payload:
            return
        if "id" in payload or "state" in payload:
            return
        payload = parse_text(payload["data"])
        yield payload


def is_message(payload: Any) -> bool:
    message = mapping(unwrap_message(payload))
    return any(message.get(key) is not None for key in _OF_A_MESSAGE)


def read_message(payload: Any) -> SendResult:
    """Read the provider's message object (specification 1.2.7), also if it is wrapped in `data`.

    If the message is marked as a one-time code, its text is left out.
    """
    message = unwrap_message(payload)
    if not isinstance(message, Mapping):
        return SendResult()
    return SendResult(
        provider_id=_identifier(message.get("id")),
        state=_text(message.get("state"), 32),
        encoding=_text(message.get("encoding"), 8),
        characters=read_count(message.get("charactersCount")),
        segments=read_count(message.get("messageCount")),
        country=_country(message.get("countryCode")),
        prefix=_text(message.get("internationalPrefix"), 9).lstrip("+")[:8],
        price=read_money(message.get("price")),
        total_price=read_money(message.get("totalPrice")),
        blocklisted=_flag(message.get("blocklisted")),
        blocklisted_reason=_text(message.get("blocklistedReason"), 255),
        created_at=read_time(message.get("createdAt")),
        updated_at=read_time(message.get("updatedAt")),
        sent_at=read_time(message.get("sentAt")),
        delivered_at=read_time(message.get("deliveredAt")),
        recipient=_text(message.get("recipient"), 32),
        sender=_text(message.get("sender"), 32),
        body="" if _flag(message.get("isOtp")) else _text(message.get("message"), 65536),
        custom=read_custom(payload),
    )


def read_custom(payload: Any) -> Mapping[str, Any]:
    """Return the custom data that we sent in `callback.custom`.

    Search the payload, then up to two nested `data` objects, then the `callback` of the message.
    The first `custom` that is not empty counts.
    """
    for layer in (*_layers(payload), mapping(unwrap_message(payload)).get("callback")):
        if custom := mapping(mapping(layer).get("custom")):
            return custom
    return {}


def mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def digits(number: str) -> str:
    """Return the digits of a number without "(0)" and the prefix 00: "0039 (0) 1" gives "391"."""
    spoken = _TRUNK_ZERO.sub("", number)
    return "".join(filter(str.isdecimal, spoken)).removeprefix("00")


def clean_text(value: str, limit: int | None = None) -> str:
    """Remove NUL and lone surrogates, which a database refuses, and cut the text to `limit`."""
    if not value.isascii() or "\0" in value:
        value = _UNSTORABLE.sub("", value)
    return value[:limit]


def read_money(value: Any, *, signed: bool = False) -> Decimal | None:
    """Return an amount in EUR with six decimals, or None. `signed` allows negative amounts."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str, Decimal)):
        return None
    if isinstance(value, str) and not _MONEY_TEXT.fullmatch(value.strip()):
        return None
    # Only other parsers give a float; its shortest form is the amount as it was written.
    amount = Decimal(repr(value) if isinstance(value, float) else value)
    # Not abs(), which overflows for an immense amount.
    if not amount.is_finite() or amount.copy_abs() >= _MAX_AMOUNT or (amount < 0 and not signed):
        return None
    rounded = amount.quantize(_MICRO, context=_EXACT)
    return rounded if abs(rounded) < _MAX_AMOUNT else None


def read_time(value: Any) -> datetime | None:
    """Read a time in ISO 8601, or in seconds since 1970. Return None for other values.

    The years 2000 to 2099 are accepted. A time without an offset is in UTC.
    """
    try:
        moment = _moment(value)
    except (ValueError, OverflowError):
        return None
    if moment is None or not _EARLIEST <= moment < _LATEST:
        return None
    return project_time(moment)


def _moment(value: Any) -> datetime | None:
    if isinstance(value, str) and not re.fullmatch(r"\d{1,12}", value, re.ASCII):
        moment = parse_datetime(value.strip()[:64])
        return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment
    if isinstance(value, bool) or not isinstance(value, (int, float, str, Decimal)):
        return None
    seconds = float(value)
    return datetime.fromtimestamp(seconds, UTC) if 0 < seconds < 10**10 else None


def _text(value: Any, limit: int) -> str:
    if isinstance(value, str):
        return clean_text(value, limit)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**limit:
        return str(value)[:limit]
    return ""


def _identifier(value: Any) -> str:
    """Return the id, or "" if the id is longer than 64 characters.

    A long id is not cut, because its beginning may be the id of another message.
    """
    identifier = _text(value, 65).strip()
    return identifier if len(identifier) <= 64 else ""


def _country(value: Any) -> str:
    country = _text(value, 3).upper()
    return country if re.fullmatch("[A-Z]{2}", country) else ""


def read_count(value: Any) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"\d{1,5}", value.strip(), re.ASCII):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return None
    number = Decimal(value)
    if not number.is_finite() or not 0 <= number <= _MAX_COUNT or number % 1:
        return None
    return int(number)


def _flag(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().lower() in {"1", "true", "yes"}
    return isinstance(value, int) and value == 1
