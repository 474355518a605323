"""Why a message was not sent, in two or three words for the list."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..exceptions import (
    AccessRefused,
    AccountBlocklisted,
    ContentRefused,
    InsufficientCredit,
    InvalidSMS,
    InvalidToken,
    SMSError,
    SMSLimited,
    SMSOutcomeUnknown,
    SMSRefused,
    SMSUnavailable,
    error_kind,
)
from ..models import Message
from ..models.queryset import WORKER_LOST
from ..models.settlement import PROVED_ABSENT, SETTLED_UNSENT

BY_CODE: dict[str, Promise] = {
    "suppressed": _("on the do-not-send list"),
    "expired_unsent": _("too late"),
    "suspended": _("sending paused"),
    "interrupted": _("interrupted"),
    "too_fast": _("rate limit"),
    "preflight_unanswered": _("preflight without an answer"),
    "restored": _("backup restored"),
    WORKER_LOST: _("worker died"),
    SETTLED_UNSENT: _("settled as not sent"),
    PROVED_ABSENT: _("never reached the gateway"),
}
"""Codes of our own. Those of the gateway are numbers."""

BY_KIND: dict[type[SMSError], Promise] = {
    InvalidSMS: _("not valid"),
    ContentRefused: _("forbidden content"),
    SMSRefused: _("refused"),
    InvalidToken: _("token refused"),
    AccessRefused: _("access refused"),
    InsufficientCredit: _("wallet too low"),
    AccountBlocklisted: _("account blocked"),
    SMSUnavailable: _("gateway not reached"),
    SMSOutcomeUnknown: _("no answer"),
}


def short_reason(message: Message) -> str:
    """Return why this message failed, waits for another attempt, or is UNKNOWN; "" for others."""
    kind, code, status = error_kind(message.error), message.error_code, message.error_status
    if code in BY_CODE:
        return str(BY_CODE[code])
    if kind is SMSLimited:
        return gettext("limit %s") % code
    if kind is SMSUnavailable and status:
        return gettext("gateway answered %d") % status
    reason = str(BY_KIND.get(kind, ""))
    return f"{reason} ({code})" if kind is SMSRefused and code.isdigit() else reason
