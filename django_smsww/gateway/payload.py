"""Reads the provider's JSON, in responses and in callbacks: leniently, and within bounds.

That JSON holds nulls, unknown keys, numbers written as text and the reverse. A field that we cannot
read stays empty, and does not spoil the others. Only `load_json` raises.
"""

from __future__ import annotations

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
    """Return the JSON value in UTF-8, with Decimal in place of float.

    Raises:
        ValueError: it is not JSON in UTF-8, repeats a key, or is nested or sized beyond reason.
    """
    try:
        value = _DECODER.decode(body.decode("utf-8-sig"))
    except (RecursionError, InvalidOperation, ValueError):
        # The parser's own text, and the exception it chains, quote the body.
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
    """Return the message or list of messages inside `data`, or inside `data` in `data`."""
    *_, innermost = _layers(payload)
    return innermost


def unwrap_message(payload: Any) -> Any:
    """Return the message from within `data`, also if it is the only item of a list."""
    found = unwrap(payload)
    return found[0] if isinstance(found, list) and len(found) == 1 else found


def unwrap_list(payload: Any) -> Any:
    """Return the list of messages from within `data`, also if it is an object with numbers as keys.

    PHP writes such an object for a list with gaps.
    """
    found = unwrap(payload)
    is_numbered = isinstance(found, Mapping) and all(map(str.isdecimal, found))
    return list(found.values()) if is_numbered else found


def parse_text(value: Any) -> Any:
    """Return the object or list that is written as JSON in a text, or else the value itself."""
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
    """Tell whether this is the provider's message object, wrapped or bare."""
    message = mapping(unwrap_message(payload))
    return any(message.get(key) is not None for key in _OF_A_MESSAGE)


def read_message(payload: Any) -> SendResult:
    """Read the provider's message object (specification 1.2.7), wrapped or bare.

    The text of a one-time code is left out, since it holds the code.
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
    """Return the object that we sent in `callback.custom`.

    It comes back in several places. We take the outermost: beside the message, in a wrapper, in the
    message, in its `callback`.
    """
    for layer in (*_layers(payload), mapping(unwrap_message(payload)).get("callback")):
        if custom := mapping(mapping(layer).get("custom")):
            return custom
    return {}


def mapping(value: Any) -> Mapping[str, Any]:
    """Return the value if it is a mapping, or else an empty one."""
    return value if isinstance(value, Mapping) else {}


def digits(number: str) -> str:
    """Return the digits that all spellings of a number share: +39 1, 0039 1, +39 (0) 1, 391."""
    spoken = _TRUNK_ZERO.sub("", number)
    return "".join(filter(str.isdecimal, spoken)).removeprefix("00")


def clean_text(value: str, limit: int | None = None) -> str:
    """Return the text without NUL and lone surrogates, which a database refuses, and cut it."""
    if not value.isascii() or "\0" in value:
        value = _UNSTORABLE.sub("", value)
    return value[:limit]


def read_money(value: Any, *, signed: bool = False) -> Decimal | None:
    """Read an amount of EUR, rounded to six decimals, or None."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str, Decimal)):
        return None
    if isinstance(value, str) and not _MONEY_TEXT.fullmatch(value.strip()):
        return None
    # A float comes only from a parser that is not ours; its shortest form is the written one.
    amount = Decimal(repr(value) if isinstance(value, float) else value)
    # copy_abs() and not abs(), which overflows for an immense amount.
    if not amount.is_finite() or amount.copy_abs() >= _MAX_AMOUNT or (amount < 0 and not signed):
        return None
    rounded = amount.quantize(_MICRO, context=_EXACT)
    return rounded if abs(rounded) < _MAX_AMOUNT else None


def read_time(value: Any) -> datetime | None:
    """Read ISO 8601 (without an offset it is UTC) or seconds since 1970, or None."""
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
    """Read an id; "" if it is too long, since a part of it would name another message."""
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
