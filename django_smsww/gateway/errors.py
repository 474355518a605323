"""What an answer that is no success stands for.

The white list of what is certain: only the statuses named here say that nothing was sent. All
other 4xx but 408 are refusals of the message, and everything else leaves the outcome unknown.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

from django.utils.translation.trans_null import gettext_noop as _

from ..exceptions import (
    AccountBlocklisted,
    ContentRefused,
    InsufficientCredit,
    InvalidToken,
    SMSError,
    SMSOutcomeUnknown,
    SMSRefused,
    SMSUnavailable,
)
from .payload import clean_text, load_json

_BY_CODE: dict[str, type[SMSError]] = {
    "2020": AccountBlocklisted,
    "2044": ContentRefused,
    "2050": ContentRefused,
}
_DAY = 86400.0
_REDIRECTS = _("The host redirects, which is not followed: configure the host it redirects to")
_UNUSABLE = _("The gateway gave no usable answer")
_HIDDEN = "***"


@dataclass(frozen=True, slots=True)
class _Said:
    """What the provider says in one of its two envelopes, or anybody in any text."""

    text: str
    code: str = ""
    is_envelope: bool = False


def error_of(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    private: Iterable[str] = (),
    unsure: type[SMSError] = SMSOutcomeUnknown,
) -> SMSError:
    """Return the error that this answer stands for.

    `private` are the texts that must not be in its `detail`. `unsure` is the class where the
    answer does not say whether the request was carried out; for a look-up, that does not matter.
    """
    said = _read(body)
    kind = _kind(status, said)
    return (kind or unsure)(
        _text(status, kind, unsure),
        code=_mask(said.code, private),
        status=status,
        detail=_mask(said.text, private)[:500],
        retry_after=_retry_after(headers.get("Retry-After", "")),
    )


def _kind(status: int, said: _Said) -> type[SMSError] | None:
    if status == 401:
        return InvalidToken
    if status == 402:  # the older host says it of wrong tokens, too
        return InvalidToken if "token" in said.text.lower() else InsufficientCredit
    if status == 429:
        return SMSUnavailable
    if status in {417, 503} and said.is_envelope:  # else it may be a proxy's, after the fact
        return SMSUnavailable
    if 400 <= status < 500 and status not in {408, 417}:
        return _BY_CODE.get(said.code, SMSRefused)
    return None


def _text(status: int, kind: type[SMSError] | None, unsure: type[SMSError]) -> str:
    if 300 <= status < 400:
        return _REDIRECTS
    return "" if kind or unsure is SMSOutcomeUnknown else _UNUSABLE


def _read(body: bytes) -> _Said:
    try:
        payload = load_json(body)
    except ValueError:
        return _Said(text=body.decode("utf-8", "replace"))
    if not isinstance(payload, Mapping):
        return _Said(text="")
    code = payload.get("code")
    text = payload.get("message")
    return _Said(
        text=text if isinstance(text, str) else "",
        code=_code(payload.get("error") if code is None else code),
        is_envelope=("code" in payload and "message" in payload) or payload.get("success") is False,
    )


def _code(value: Any) -> str:
    """Return the code as text: "2044", "125.22"."""
    if isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) < 18:
        return format(value.normalize(), "f")[:32]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18:
        return str(value)
    return clean_text(value, 32) if isinstance(value, str) else ""


def _retry_after(value: str) -> float | None:
    """Read seconds or an HTTP date (RFC 9110, section 10.2.3), a day at most."""
    value = value.strip()
    if re.fullmatch(r"\d{1,9}", value, re.ASCII):
        return min(float(value), _DAY)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max((moment - datetime.now(UTC)).total_seconds(), 0.0), _DAY)


def _mask(text: str, private: Iterable[str]) -> str:
    """Return the text on one line, without these and without whatever could be a number."""
    text = _one_line(text)
    for secret in private:
        for form in _spellings(secret):
            # A short one is hidden only as a word of its own: the rest stays readable.
            pattern = re.escape(form) if len(form) > 3 else rf"(?<!\w){re.escape(form)}(?!\w)"
            text = re.sub(pattern, _HIDDEN, text, flags=re.IGNORECASE)
            if len(form) > 12:  # it may be quoted in part, and where it ends nobody knows
                text = re.sub(f"{re.escape(form[:12])}.*", _HIDDEN, text, flags=re.IGNORECASE)
    return re.sub(r"\+?\d{7,}", _HIDDEN, text)


def _spellings(secret: str) -> list[str]:
    """Return the ways in which an error page may spell it, the longest first."""
    plain = _one_line(secret)
    spellings = {plain, html.escape(plain), json.dumps(secret)[1:-1]}
    if re.fullmatch(r"\+\d+", plain):
        spellings |= {plain[1:]}
    return sorted(spellings - {""}, key=len, reverse=True)


def _one_line(text: str) -> str:
    return " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", clean_text(text)).split())
