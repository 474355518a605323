"""Convert the status and the body of an error response to an exception.

The table `_ERRORS` lists the responses that prove that nothing was sent. After any other response,
the outcome is unknown. If the table gives SMSRefused or ContentRefused, the message is not tried
again. If the table gives another exception, the message can be tried again later.
"""

import html
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

from django.utils.translation.trans_null import gettext_noop as _

from ..exceptions import (
    AccessRefused,
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

_ANY, _ENVELOPE, _TOKEN = "any body", "an error envelope of the gateway", "the word token"
_PAGE = "a page of HTML"
CONTENT_CODES = ("2044", "2050")
"""The gateway's error codes for forbidden content."""

_REFUSALS = tuple(status for status in range(400, 500) if status not in (408, 417))

# Statuses, the code or the body, and the error. The first entry that fits counts.
_ERRORS: tuple[tuple[tuple[int, ...], str, type[SMSError]], ...] = (
    ((401,), _ANY, InvalidToken),
    ((402,), _TOKEN, InvalidToken),  # the older host sends 402 for wrong tokens, too
    ((402,), _ANY, InsufficientCredit),
    ((429,), _ANY, SMSUnavailable),
    ((417, 503), _ENVELOPE, SMSUnavailable),  # a proxy's may come after the gateway accepted
    (_REFUSALS, "2020", AccountBlocklisted),
    (_REFUSALS, "2044", ContentRefused),
    (_REFUSALS, "2050", ContentRefused),
    (_REFUSALS, _PAGE, AccessRefused),  # of a firewall, or of a wrong path
    ((400, 413, 422), _ANY, SMSRefused),
    (_REFUSALS, _ANY, AccessRefused),
)
_DAY = 86400.0
_REDIRECTS = _(
    "The host answered with a redirect, which is not followed: configure the host to "
    "which it redirects"
)
_UNREADABLE = _("The gateway's answer cannot be read: the message may have been sent")
_UNUSABLE = _("The gateway gave no usable answer")
_HIDDEN = "***"
_READ = 4000
"""How many characters of an error text are read."""
_PIECE = 8
"""If an error text quotes this many consecutive characters of a private text, hide them."""
_RUN = 5
"""If an error text quotes this many consecutive digits of a private text, hide them."""


@dataclass(frozen=True, slots=True)
class _Body:
    """The body of a response: a JSON error of the gateway, an HTML page, or any other text."""

    text: str
    code: str = ""
    is_envelope: bool = False
    is_page: bool = False

    def fits(self, condition: str) -> bool:
        """Whether the body fits this condition of `_ERRORS`: an error code, or a kind of body."""
        if condition == _ENVELOPE:
            return self.is_envelope
        if condition == _PAGE:
            return self.is_page
        if condition == _TOKEN:
            return "token" in self.text.lower()
        return condition in (_ANY, self.code)


def error_of(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    private: Iterable[str] = (),
    unsure: type[SMSError] = SMSOutcomeUnknown,
) -> SMSError:
    """Return an exception for an unsuccessful response.

    Args:
        private: texts that the exception must not show. It shows a mask in their place.
        unsure: the class of the exception if the response does not show whether the host has
            carried out the request. `Host.read` passes SMSUnavailable.
    """
    said, private = _read(body), list(private)
    kind = next((row[2] for row in _ERRORS if status in row[0] and said.fits(row[1])), None)
    code = "" if kind is InsufficientCredit else said.code  # there it is the credit that is left
    return (kind or unsure)(
        "" if kind else _why_unsure(status, unsure),
        code=_mask(code, private),
        status=status,
        detail=without_content(said.text, private)[:500],
        retry_after=_retry_after(headers.get("Retry-After", "")),
    )


def _why_unsure(status: int, unsure: type[SMSError]) -> str:
    if status < 300 and unsure is SMSOutcomeUnknown:
        return _UNREADABLE
    if 300 <= status < 400:
        return _REDIRECTS
    return "" if unsure is SMSOutcomeUnknown else _UNUSABLE


def _read(body: bytes) -> _Body:
    whole = body.decode("utf-8", "replace")
    try:
        payload = load_json(body)
    except ValueError:
        return _Body(text=whole, is_page=whole.lstrip("\ufeff \t\r\n").startswith("<"))
    if not isinstance(payload, Mapping):
        return _Body(text=whole)
    code = payload.get("code")
    text = payload.get("message")
    return _Body(
        text=text if isinstance(text, str) and text else whole,
        code=_code(payload.get("error") if code is None else code),
        is_envelope=_is_envelope(payload),
    )


def is_refusal(payload: Any) -> bool:
    """Whether this JSON is an error of the gateway, and contains no data."""
    if not isinstance(payload, Mapping) or payload.get("data") is not None or "id" in payload:
        return False
    return _is_envelope(payload)


def _is_envelope(payload: Mapping[str, Any]) -> bool:
    return ("code" in payload and "message" in payload) or payload.get("success") is False


def _code(value: Any) -> str:
    """Return an error code as text, such as "2044" or "125.22"."""
    if isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) < 18:
        return format(value.normalize(), "f")[:32]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18:
        return str(value)
    return clean_text(value, 32) if isinstance(value, str) else ""


def _retry_after(value: str) -> float | None:
    """Return the seconds of a Retry-After header (RFC 9110, 10.2.3), at most one day, or None."""
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


def without_content(text: str, private: Sequence[str]) -> str:
    """Return the text on one line, without private texts and telephone numbers."""
    return _without_numbers(_mask(text, private), private)


def _mask(text: str, private: Iterable[str]) -> str:
    """Return the text on one line; hide private texts, and runs of seven or more digits."""
    text = _one_line(text)[:_READ]
    for secret in private:
        for form in _spellings(secret):
            # A short text is hidden only as a whole word, so that the rest stays readable.
            pattern = re.escape(form) if len(form) > 3 else rf"(?<!\w){re.escape(form)}(?!\w)"
            text = re.sub(pattern, _HIDDEN, text, flags=re.IGNORECASE)
            if len(form) > 12:  # its end may follow, spelled in another way
                text = re.sub(f"{re.escape(form[:12])}.*", _HIDDEN, text, flags=re.IGNORECASE)
            text = _without_pieces(text, form)
    return re.sub(r"\+?\d{7,}", _HIDDEN, text)


def _without_pieces(text: str, secret: str) -> str:
    """Hide each part of at least `_PIECE` characters that the text shares with the secret."""
    folded, hidden = _folded(secret), bytearray(len(text))
    pieces = {folded[n : n + _PIECE] for n in range(len(folded) - _PIECE + 1)}
    quoting = _folded(text)
    for n in range(len(quoting) - _PIECE + 1):
        if quoting[n : n + _PIECE] in pieces:
            hidden[n : n + _PIECE] = b"\1" * _PIECE
    marked = "".join("\0" if hide else letter for letter, hide in zip(text, hidden, strict=True))
    return re.sub("\0+", _HIDDEN, marked)


def _folded(text: str) -> str:
    # Not text.lower(), which makes two characters of some.
    return "".join(letter.lower()[0] for letter in text)


def _without_numbers(text: str, private: Iterable[str]) -> str:
    """Return `text` with a mask in place of each personal number.

    A number is personal if it looks like a telephone number, or if it shares `_RUN` consecutive
    digits with one of the texts in `private`.
    """
    known = {
        digits[n : n + _RUN]
        for digits in map(_digits, private)
        for n in range(len(digits) - _RUN + 1)
    }

    def hide(found: re.Match[str]) -> str:
        digits = _digits(found[0])
        is_number = found[0].startswith("+") and len(digits) >= 7
        runs = (digits[n : n + _RUN] for n in range(len(digits) - _RUN + 1))
        return _HIDDEN if is_number or not known.isdisjoint(runs) else found[0]

    return re.sub(r"\+?\d(?:[^\w+]{0,3}\d){4,}", hide, text)


def _digits(text: str) -> str:
    return "".join(str(int(each)) for each in text if each.isdecimal())


def _spellings(secret: str) -> list[str]:
    """Return the ways in which an error page may spell a secret, the longest first."""
    plain = _one_line(secret)
    spellings = {plain, html.escape(plain), json.dumps(secret)[1:-1]}
    if re.fullmatch(r"\+\d+", plain):
        spellings |= {plain[1:]}
    return sorted(spellings - {""}, key=len, reverse=True)


def _one_line(text: str) -> str:
    return " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", clean_text(text)).split())
