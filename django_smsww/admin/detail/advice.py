"""Explain a message's state, and the next step, to the person who looks at it."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from ...backends.handler import sms_backends
from ...exceptions import (
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
from ...models import Message
from ...states import UNFINISHED, State

BY_ERROR: dict[type[SMSError], Promise] = {
    InvalidSMS: _("It was not valid, so it never left. Correct it and send it as a new message."),
    SMSLimited: _("A limit of this site held it back; nothing was sent. Resend it later."),
    ContentRefused: _(
        "The gateway found forbidden content in it, which may have cost a penalty. "
        "It cannot be resent as it is: write another text."
    ),
    SMSRefused: _(
        "The gateway refused it, and would refuse it again. Read its answer below, and mend the "
        "cause before you send it once more."
    ),
    InvalidToken: _(
        "The gateway refused this site’s token; nothing was sent. "
        "Have the token checked, then resend it."
    ),
    AccessRefused: _(
        "The gateway refuses this site, and not this message; nothing was sent. "
        "Have the token’s scopes and the host checked, then resend it."
    ),
    InsufficientCredit: _(
        "The wallet did not cover it; nothing was sent. Top the wallet up, then resend it."
    ),
    AccountBlocklisted: _(
        "The gateway has blocked the account; nothing was sent. "
        "Only the provider’s support can lift that."
    ),
    SMSUnavailable: _("The gateway could not take it; nothing was sent. It can be resent."),
    SMSOutcomeUnknown: _("No answer came. As a dry run sends nothing, it can be repeated."),
}
EXPIRED_UNSENT = _("It was not sent before it expired; nothing was sent. It can be resent.")

BLOCKLISTED = _(
    "The gateway found forbidden content in it, which may cost a penalty. Write other texts."
)

ALIAS_GONE = _(
    "Its alias is not in the settings any more, so it is neither sent nor looked up. Define the "
    "alias again, or cancel or settle the message."
)

FROM_ELSEWHERE = _(
    "It was sent outside this project, and is only recorded here: no callback tells of it, and "
    "it cannot be resent."
)

BY_STATE: dict[str, Promise] = {
    State.QUEUED: _("It waits to be sent."),
    State.SENDING: _("It is on its way to the gateway."),
    State.NEW: _("The gateway has it. A callback will tell what became of it."),
    State.PENDING: _("The network has it. A callback will tell what became of it."),
    State.UNDELIVERABLE: _("The network could not deliver it. Check the number."),
    State.EXPIRED: _("The phone could not be reached in time. It may have been switched off."),
    State.REJECTED: _(
        "The network rejected it. The number or the sender may not be accepted there."
    ),
    State.VALIDATED: _("A dry run: the gateway would take it. Nothing was sent or paid."),
    State.CANCELLED: _("It was cancelled before it was sent."),
    State.UNKNOWN: _(
        "It may have been sent: no answer came that says so. "
        "Do not send it again before the gateway was asked what became of it."
    ),
}


def advise(message: Message) -> Promise | str:
    """Return the explanation of this message, in a sentence or two."""
    if message.is_from_elsewhere:
        return FROM_ELSEWHERE
    if message.state in UNFINISHED and message.alias not in sms_backends:
        return ALIAS_GONE
    if message.state != State.FAILED:
        said = BY_STATE.get(message.state, "")
        return format_lazy("{} {}", said, BLOCKLISTED) if message.blocklisted else said
    if message.error_code == "expired_unsent":
        return EXPIRED_UNSENT
    return BY_ERROR.get(error_kind(message.error), "")
