"""The rules for the OPTIONS of every backend."""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from difflib import get_close_matches
from typing import Any

from ..exceptions import InvalidSMS, InvalidSMSBackend
from ..numbers import Recipient, read_number, required_library
from ..segments import MAX_SEGMENTS

MAX_CONCURRENCY = 64
MAX_EXPIRES_AFTER = timedelta(days=366)
MAX_COUNT = 1_000_000_000
MAX_WINDOW = 31 * 86400
Limit = tuple[int, int]
"""A pair (count, seconds): at most `count` messages in `seconds` seconds."""

Rule = tuple[Callable[[Any], bool], str]


def is_text(value: Any) -> bool:
    return isinstance(value, str)


def is_number(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_environment(value: Any) -> bool:
    # Callbacks have it in a header, so it must be ASCII.
    return isinstance(value, str) and bool(re.fullmatch(r"[A-Za-z0-9._:-]{0,64}", value))


def _is_queue(value: Any) -> bool:
    if isinstance(value, str):
        return "." in value and all(part.isidentifier() for part in value.split("."))
    return _is_flag(value)


def _is_lifetime(value: Any) -> bool:
    if isinstance(value, timedelta):
        return timedelta(0) < value <= MAX_EXPIRES_AFTER
    return is_number(value, 1, int(MAX_EXPIRES_AFTER.total_seconds()))


def _is_limit(value: Any) -> bool:
    if not isinstance(value, tuple | list):
        return value is None
    is_pair = len(value) == 2
    return is_pair and is_number(value[0], 1, MAX_COUNT) and is_number(value[1], 1, MAX_WINDOW)


def _is_list(value: Any) -> bool:
    return bool(value) if isinstance(value, list | tuple | set | frozenset) else value is None


def _is_country_list(value: Any) -> bool:
    return _is_list(value) and all(isinstance(code, str) for code in value or ())


_LIMIT: Rule = (
    _is_limit,
    "None or a pair such as (5, 3600): at most so many messages in so many seconds, up to 31 days",
)

POLICY: dict[str, Rule] = {
    # A system check, and the validation of each message, check the sender further.
    "sender": (is_text, "a string"),
    "dry_run": (_is_flag, "True or False"),
    "fail_on_multiple_messages": (_is_flag, "True or False"),
    "max_segments": (
        lambda value: value is None or is_number(value, 1, MAX_SEGMENTS),
        f"None or an integer from 1 to {MAX_SEGMENTS}",
    ),
    "max_segments_per_day": (
        lambda value: value is None or is_number(value, 1, MAX_COUNT),
        "None or an integer from 1",
    ),
    "max_per_number": _LIMIT,
    "max_per_country": _LIMIT,
    "max_per_user": _LIMIT,
    "region": (is_text, "a code such as 'IT', or ''"),
    "allowed_countries": (_is_country_list, "None or a list of codes such as ['IT', 'ES']"),
    "allowed_recipients": (_is_list, "None or a list of numbers such as ['+393331234567']"),
    "replace_characters": (_is_flag, "True or False"),
    "queue": (_is_queue, "True, False or the dotted path of a queue"),
    "concurrency": (
        lambda value: is_number(value, 1, MAX_CONCURRENCY),
        f"an integer from 1 to {MAX_CONCURRENCY}",
    ),
    "rate_limit": (
        lambda value: value is None or per_second(value) is not None,
        "None or a count for a second or a minute, such as '100/s' or '10000/m'",
    ),
    "environment": (
        _is_environment,
        "at most 64 letters, digits, dots, hyphens, underscores and colons, such as 'production'",
    ),
    "expires_after": (_is_lifetime, "a number of seconds or a timedelta, up to 366 days"),
}


def check_options(
    options: Mapping[str, Any],
    rules: Mapping[str, Rule],
    defaults: Mapping[str, Any],
    *,
    alias: str | None,
) -> None:
    """Raise InvalidSMSBackend for the first invalid option. The error hides the option's value.

    Defaults are valid, and are not checked. This saves time, because each `send_sms` builds a
    backend.
    """
    for name, (accepts, wanted) in rules.items():
        if options[name] is not defaults[name] and not accepts(options[name]):
            raise InvalidSMSBackend(f"OPTIONS[{name!r}] must be {wanted}.", alias=alias)


def refuse_unknown(unknown: Iterable[str], backend: type, *, alias: str | None) -> None:
    names = list(unknown)
    if not names:
        return
    text = f"Unknown options {', '.join(map(repr, names))}."
    known = option_names(backend)
    meant = [match for name in names for match in get_close_matches(name, known, n=1)]
    if meant:
        text += f" Did you mean {', '.join(map(repr, meant))}?"
    raise InvalidSMSBackend(text, alias=alias)


def country_codes(value: Iterable[str] | None, *, alias: str | None) -> frozenset[str] | None:
    """Return the country codes in capitals, or None if `value` is None.

    A valid code is an ISO 3166 country code such as IT. For other codes, raise InvalidSMSBackend.
    """
    if value is None:
        return None
    return frozenset(_country_code("allowed_countries", code, alias) for code in value)


def region_code(value: str, *, alias: str | None) -> str:
    """Return the country code in capitals, or "" if `value` is empty."""
    return _country_code("region", value, alias) if value else ""


def _country_code(option: str, code: str, alias: str | None) -> str:
    regions = require_phonenumbers(option, alias=alias).SUPPORTED_REGIONS
    if code.upper() not in regions:
        raise InvalidSMSBackend(
            f"OPTIONS[{option!r}] must have ISO 3166 codes of two letters, such as 'GB'; "
            f"{code.upper()!r} is not such a code.",
            alias=alias,
        )
    return code.upper()


def phone_numbers(
    value: Iterable[Recipient] | None, region: str, *, alias: str | None
) -> frozenset[str] | None:
    if value is None:
        return None
    name = "allowed_recipients"
    return frozenset(phone_number(name, number, region, alias=alias) for number in value)


def phone_number(option: str, value: Recipient, region: str, *, alias: str | None) -> str:
    """Return the number in E.164. For the option `redirect_to`, an empty value stays empty."""
    if option == "redirect_to" and value == "":
        return ""
    try:
        return read_number(value, region)
    except InvalidSMS as error:
        text = str(error).replace("recipient", "each number", 1)
        problem = InvalidSMSBackend(f"OPTIONS[{option!r}]: {text}", alias=alias)
    raise problem  # not in the handler: the error's context would hold the number


def require_phonenumbers(option: str, *, alias: str | None) -> Any:
    """Return the package phonenumbers. Raise InvalidSMSBackend if it is not installed."""
    try:
        return required_library()
    except ImportError as error:
        raise InvalidSMSBackend(
            f"OPTIONS[{option!r}] needs the package phonenumbers: "
            "pip install 'django-smsww[numbers]'.",
            alias=alias,
        ) from error


def per_second(rate: object) -> float | None:
    """Convert a rate such as "10000/m" to requests per second. Return None for an invalid rate."""
    found = re.fullmatch(r"([1-9][0-9]{0,6})/([sm])", rate) if isinstance(rate, str) else None
    return int(found[1]) / {"s": 1, "m": 60}[found[2]] if found else None


def option_names(backend: type) -> list[str]:
    parameters = (
        parameter
        for kind in backend.__mro__
        if "__init__" in vars(kind)
        for parameter in inspect.signature(vars(kind)["__init__"]).parameters.values()
    )
    named = {parameter.name for parameter in parameters if parameter.kind == parameter.KEYWORD_ONLY}
    return sorted(named - {"alias"})
