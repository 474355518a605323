"""The rules for a valid message. Every backend checks these rules before it makes a request.

Each error text says what to correct, and contains neither the number nor the text of the message.
Only error texts that can appear in a form are marked for translation.
"""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import NoneType
from typing import Any
from uuid import UUID

from django.utils import timezone
from django.utils.translation.trans_null import gettext_noop as _

from ..clock import uses_time_zones
from ..exceptions import InvalidSMS
from ..numbers import country_of
from ..segments import MAX_SEGMENTS, count_segments
from ..sms import RESERVED_CUSTOM_KEY, SMS

MAX_CUSTOM_BYTES = 16 * 1024
MAX_CUSTOM_DEPTH = 32
SENDER_RULE = "3 to 11 letters, digits and spaces, a letter among them and no space at the ends"
_WRONG_SENDER = _(
    "sender must have 3 to 11 letters, digits and spaces, a letter among them and no space at the "
    "ends."
)

_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "body": ((str,), "a string (str() makes one of a lazy translation)"),
    "sender": ((str,), "a string"),
    "dry_run": ((bool, NoneType), "True, False or None"),
    "fail_on_multiple_messages": ((bool, NoneType), "True, False or None"),
    "key": ((str,), "a string"),
    "custom": ((Mapping, NoneType), "a dict or None"),
    "tag": ((str,), "a string"),
    "sensitive": ((bool,), "True or False"),
    "send_at": ((datetime, NoneType), "a datetime or None"),
    "expires_at": ((datetime, NoneType), "a datetime or None"),
    "priority": ((int,), "an integer"),
    "batch": ((UUID, NoneType), "a UUID or None"),
    "reference": ((UUID,), "a UUID"),
}

# NUL and lone surrogates: PostgreSQL does not store them, and no telephone can show them.
_find_unstorable = re.compile("[\x00\ud800-\udfff]").search
_is_sender = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9][A-Za-z0-9 ]{1,9}[A-Za-z0-9]").fullmatch


def check_content(sms: SMS) -> None:
    """Raise InvalidSMS if any field except the recipient cannot be sent or stored."""
    _check_types(sms, _TYPES)
    _check_body(sms.body)
    if not is_sender(sms.sender):
        raise InvalidSMS(_WRONG_SENDER)
    check_names(sms)
    _check_label("tag", sms.tag, 64)
    if not -32768 <= sms.priority <= 32767:
        raise InvalidSMS("priority must be an integer from -32768 to 32767.")
    _check_times(sms)
    _check_custom(sms.custom)


def check_names(sms: SMS) -> None:
    _check_types(sms, ("key", "reference"))
    _check_label("key", sms.key, 200)


def check_segments(body: str, limit: int, option: str = "") -> None:
    # A text of that length exceeds any limit; counting its segments would only take time.
    too_long = len(body) > MAX_SEGMENTS * 153
    if too_long or count_segments(body).segments > limit:
        raise InvalidSMS(_too_long(limit, option), params={"limit": limit, "option": option})


def _too_long(limit: int, option: str) -> str:
    if not option:
        return _("body must fit into %(limit)d segments. Shorten it.")
    if limit == 1:
        return _("body must fit into 1 segment (%(option)s). Shorten it.")
    return _("body must fit into %(limit)d segments (%(option)s). Shorten it.")


def check_country(recipient: str, allowed: frozenset[str]) -> None:
    if country_of(recipient) not in allowed:
        raise InvalidSMS(
            _("recipient is in a country that is not in allowed_countries: %(countries)s."),
            params={"countries": ", ".join(sorted(allowed))},
        )


def check_allowed(recipient: str, allowed: frozenset[str]) -> None:
    if recipient not in allowed:
        raise InvalidSMS(
            _(
                "recipient is not among the allowed_recipients of this alias. Add the recipient to "
                "allowed_recipients. Or set redirect_to: then another number gets such messages."
            )
        )


def is_sender(sender: str) -> bool:
    """Whether the gateway accepts this sender. It accepts "", and then uses its own sender."""
    # Specification 1.2.7: 3 to 11 characters, spaces allowed, not purely numeric.
    return not sender or bool(_is_sender(sender))


def _check_types(sms: SMS, names: Iterable[str]) -> None:
    for name in names:
        types, wanted = _TYPES[name]
        value = getattr(sms, name)
        # A bool is an int, but no valid priority.
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise InvalidSMS(f"{name} must be {wanted}.")


def _check_body(body: str) -> None:
    if not body.strip():
        raise InvalidSMS(_("body must not be empty."))
    if _find_unstorable(body):
        raise InvalidSMS(_("body must hold neither NUL characters nor lone surrogates."))


def _check_label(name: str, value: str, limit: int) -> None:
    if len(value) > limit:
        raise InvalidSMS(f"{name} must have at most {limit} characters.")
    if _find_unstorable(value):
        raise InvalidSMS(f"{name} must hold neither NUL characters nor lone surrogates.")


def _check_times(sms: SMS) -> None:
    _check_time("send_at", sms.send_at)
    _check_time("expires_at", sms.expires_at)
    if sms.send_at and sms.expires_at and sms.expires_at <= sms.send_at:
        raise InvalidSMS(_("expires_at must be later than send_at."))
    if sms.expires_at and sms.expires_at <= timezone.now():
        raise InvalidSMS(
            _("expires_at must be in the future; otherwise the message would not be sent.")
        )


def _check_time(name: str, value: datetime | None) -> None:
    if value is None:
        return
    # The project's database stores times like those of django.utils.timezone.now().
    wanted = uses_time_zones()
    if timezone.is_aware(value) != wanted:
        kind = "an aware" if wanted else "a naive"
        raise InvalidSMS(f"{name} must be {kind} datetime, as django.utils.timezone.now() is.")
    if not 2000 <= value.year < 3000:
        text = _("%(name)s must be in the years 2000 to 2999.")
        raise InvalidSMS(text, params={"name": name})


def _check_custom(custom: Mapping[str, Any] | None) -> None:
    if custom is None:
        return
    if RESERVED_CUSTOM_KEY in custom:
        raise InvalidSMS(f"custom must not have the key {RESERVED_CUSTOM_KEY!r}: it is reserved.")
    _check_json(dict(custom))
    try:
        text = json.dumps(dict(custom), allow_nan=False)
    except (TypeError, ValueError):
        raise InvalidSMS(
            "custom must be plain JSON: dicts, lists, strings, finite numbers, booleans and None."
        ) from None
    if len(text) > MAX_CUSTOM_BYTES:
        raise InvalidSMS(f"custom must have at most {MAX_CUSTOM_BYTES} bytes as JSON.")


def _check_json(value: Any, depth: int = 1) -> None:
    if depth > MAX_CUSTOM_DEPTH:
        raise InvalidSMS(f"custom must not be nested deeper than {MAX_CUSTOM_DEPTH} levels.")
    if isinstance(value, dict):
        # json.dumps() would turn other keys into strings, and then two could be the same.
        if not all(isinstance(key, str) for key in value):
            raise InvalidSMS("custom must have strings as keys.")
        value = [*value, *value.values()]
    if isinstance(value, list | tuple):
        for item in value:
            _check_json(item, depth + 1)
    elif isinstance(value, str) and _find_unstorable(value):
        raise InvalidSMS("custom must hold neither NUL characters nor lone surrogates.")
