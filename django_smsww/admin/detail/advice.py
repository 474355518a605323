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
from ...models import Event, Message
from ...models.queryset import WORKER_LOST
from ...models.settlement import PROVED_ABSENT, SETTLED_UNSENT
from ...states import UNFINISHED, State

BY_CODE: dict[str, Promise] = {
    "suppressed": _(
        "Its number was on the do-not-send list when it was to be sent; nothing was sent."
    ),
    "expired_unsent": _("It was not sent before it expired; nothing was sent. It can be resent."),
    "suspended": _(
        "Sending was paused when it was its turn; nothing was sent. Resend it when sending goes on."
    ),
    "interrupted": _(
        "The program was interrupted before it sent the message; nothing was sent. "
        "It can be resent."
    ),
    "too_fast": _(
        "The rate limit would have delayed it for too long; nothing was sent. It can be resent."
    ),
    "preflight_unanswered": _(
        "The dry run that checks the text before a mass send got no answer; nothing was sent. "
        "It can be resent."
    ),
    SETTLED_UNSENT: _(
        "A person settled it as not sent, and gave a reason, which the timeline shows. "
        "It can be resent."
    ),
    PROVED_ABSENT: _("The gateway’s list proves that the gateway never got it. It can be resent."),
    WORKER_LOST: _(
        "The worker died while it sent the message, which may have been sent. "
        "Do not send it again before the gateway was asked what became of it."
    ),
    "restored": _(
        "A backup was restored, and the message may have been sent after the backup was made. "
        "Do not send it again before the gateway was asked what became of it."
    ),
}
"""For codes of our own, which say more than the class of the error."""

BY_ERROR: dict[type[SMSError], Promise] = {
    InvalidSMS: _("It was not valid, so it never left. Correct it and send it as a new message."),
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
    SMSUnavailable: _("The gateway could not be reached; nothing was sent. It can be resent."),
    SMSOutcomeUnknown: _("No answer came. As a dry run sends nothing, it can be repeated."),
}
LIMITED = _(
    "It was over the limit “{code}” of this site; nothing was sent. Resend it when the limit has "
    "room again."
)
ANSWERED = _(
    "The gateway answered that it could not take it (HTTP {status}); nothing was sent. "
    "It can be resent."
)

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

SETTLED_AS_SENT = _(
    "A person settled it as sent, and gave a reason, which the timeline shows. A callback may "
    "still tell what became of it."
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
        "It may have been sent, or not: no clear answer came. "
        "Do not send it again before the gateway was asked what became of it."
    ),
}


def advise(message: Message) -> Promise | str:
    """Return the explanation of this message, in a sentence or two."""
    if message.is_from_elsewhere:
        return FROM_ELSEWHERE
    if message.state in UNFINISHED and message.alias not in sms_backends:
        return ALIAS_GONE
    if message.state in (State.FAILED, State.UNKNOWN) and message.error_code in BY_CODE:
        return BY_CODE[message.error_code]
    if message.state == State.FAILED:
        return _of_error(message)
    said = SETTLED_AS_SENT if _is_settled_as_sent(message) else BY_STATE.get(message.state, "")
    return format_lazy("{} {}", said, BLOCKLISTED) if message.blocklisted else said


def _of_error(message: Message) -> Promise | str:
    kind, status = error_kind(message.error), message.error_status
    if kind is SMSLimited:
        return format_lazy(LIMITED, code=message.error_code)
    if kind is SMSUnavailable and status:
        return format_lazy(ANSWERED, status=status)
    return BY_ERROR.get(kind, "")


def _is_settled_as_sent(message: Message) -> bool:
    if message.state != State.PENDING or message.provider_id:  # the gateway said so itself
        return False
    return message.events.filter(kind=Event.Kind.SETTLED).exists()
