"""Explain the state of a message, in a few words for the list, and in sentences for its page."""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.text import capfirst, format_lazy
from django.utils.translation import gettext_lazy as _

from ..backends.handler import sms_backends
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
from ..models import Event, Message, Suspension
from ..models.lease import longest_request
from ..models.queryset import WORKER_LOST
from ..models.settlement import PROVED_ABSENT, SETTLED_UNSENT
from ..states import UNFINISHED, State
from .batch_figures import stops_of
from .formatting import short_start


class Explanation(NamedTuple):
    """The reason for a message's state: `short` in a few words, `advice` with the next step."""

    short: Promise | str
    advice: Promise | str


BY_CODE: dict[str, Explanation] = {
    "suppressed": Explanation(
        _("on the do-not-send list"),
        _("Its number was on the do-not-send list when it was to be sent; nothing was sent."),
    ),
    "expired_unsent": Explanation(
        _("too late"), _("It expired before it was sent. It can be resent.")
    ),
    "suspended": Explanation(
        _("sending paused"),
        _("Sending was paused at that time; nothing was sent. Resend it after the pause."),
    ),
    "interrupted": Explanation(
        _("interrupted"),
        _(
            "The program was interrupted before it sent the message; nothing was sent. "
            "It can be resent."
        ),
    ),
    "too_fast": Explanation(
        _("rate limit"),
        _("The rate limit would have delayed it for too long; nothing was sent. It can be resent."),
    ),
    "preflight_unanswered": Explanation(
        _("preflight without a clear answer"),
        _(
            "The dry run that checks the text before a mass send got no clear answer; nothing was "
            "sent. It can be resent."
        ),
    ),
    "restored": Explanation(
        _("backup restored"),
        _(
            "A backup was restored, and the message may have been sent after the backup was made. "
            "Before you send it again, ask the gateway what became of it."
        ),
    ),
    WORKER_LOST: Explanation(
        _("worker died"),
        _(
            "The worker died while it was sending the message, so the message may have been sent. "
            "Before you send it again, ask the gateway what became of it."
        ),
    ),
    SETTLED_UNSENT: Explanation(
        _("settled as not sent"),
        _(
            "A person settled it as not sent, and gave a reason, which the timeline shows. "
            "It can be resent."
        ),
    ),
    PROVED_ABSENT: Explanation(
        _("never reached the gateway"),
        _("The gateway’s list proves that the gateway never got it. It can be resent."),
    ),
}
"""Explanations of this package's error codes. A code says more than the class of its error."""

BY_ERROR: dict[type[SMSError], Explanation] = {
    InvalidSMS: Explanation(
        _("not valid"),
        _("It was not valid, so it never left. Correct it and send it as a new message."),
    ),
    ContentRefused: Explanation(
        _("forbidden content"),
        _(
            "The gateway found forbidden content in it, which may have cost a penalty. "
            "It cannot be resent as it is: write another text."
        ),
    ),
    SMSRefused: Explanation(
        _("refused"),
        _(
            "The gateway refused it, and would refuse it again. Read the gateway’s answer below, "
            "and remove the cause before you resend the message."
        ),
    ),
    InvalidToken: Explanation(
        _("token refused"),
        _(
            "The gateway refused this site’s token; nothing was sent. Ask your administrator to "
            "check the token, then resend the message."
        ),
    ),
    AccessRefused: Explanation(
        _("access refused"),
        _(
            "The gateway refuses this site, and not this message; nothing was sent. Ask your "
            "administrator to check the token’s scopes and the host, then resend the message."
        ),
    ),
    InsufficientCredit: Explanation(
        _("wallet too low"),
        _(
            "The credit in the wallet was too low; nothing was sent. "
            "Top up the wallet, then resend the message."
        ),
    ),
    AccountBlocklisted: Explanation(
        _("account blocked"),
        _(
            "The gateway has blocked the account; nothing was sent. Only the provider’s support "
            "can unblock it."
        ),
    ),
    SMSUnavailable: Explanation(
        _("gateway not reached"),
        _("The gateway could not be reached; nothing was sent. It can be resent."),
    ),
    SMSOutcomeUnknown: Explanation(
        _("no answer"), _("No answer came. You can repeat the dry run, because it sends nothing.")
    ),
}
LIMITED = Explanation(
    _("limit %s"),
    _(
        "It was over the limit “{code}” of this site; nothing was sent. Resend it later, when the "
        "limit allows it."
    ),
)
ANSWERED = Explanation(
    _("gateway answered %d"),
    _(
        "The gateway could not accept the message (HTTP {status}); nothing was sent. It can be "
        "resent."
    ),
)
UNCLEAR = Explanation(
    _("no clear answer"),
    _("No clear answer came. You can repeat the dry run, because it sends nothing."),
)
BLOCKLISTED = _(
    "The gateway found forbidden content in it, which may cost a penalty. Write other texts."
)
ALIAS_GONE = _(
    "Its alias is not in the settings any more, so it is neither sent nor looked up. Define the "
    "alias again, or cancel or settle the message."
)
FROM_ELSEWHERE = _(
    "Another program sent it with the same account. This site only has a record of it: no "
    "callbacks arrive for it, and it cannot be resent."
)
SETTLED_AS_SENT = _(
    "A person settled it as sent, and gave a reason. A callback may still tell what became of it."
)
ASKED = _(
    "It may have been sent, or not: the gateway was asked, and its answer did not decide it. Ask "
    "again later; or settle the message, if you know what became of it."
)
RETRIED = _("It waits to be sent. A worker tries it again by itself, from {} on.")
RETRIED_SOON = _("It waits to be sent. A worker tries it again by itself soon.")
DRY_RUN_FAILED = _(
    "The message was not tried, because the dry run for its mass send failed. A worker repeats the "
    "dry run by itself, from {} on."
)
DRY_RUN_FAILED_SOON = _(
    "The message was not tried, because the dry run for its mass send failed. A worker repeats the "
    "dry run by itself soon."
)
NO_ANSWER_YET = _(
    "No answer has come yet. If the process that sends it has died, a worker makes the message "
    "UNKNOWN after {}."
)
DIED = _("The process that sent it died before an answer came. A worker makes it UNKNOWN soon.")
BATCH_STOPPED = _("Its batch was stopped, so a worker will cancel it. It is not sent.")
SENT_BY_CALL = _(
    "The call that stored it also sends it. If the program was interrupted, the message becomes "
    "FAILED after about ten minutes, and can be resent."
)
AFTER_PAUSE = _("Sending is paused. A worker sends it by itself after the pause.")
BY_STATE: dict[str, Promise] = {
    State.QUEUED: _("It waits to be sent."),
    State.SENDING: _("It is on its way to the gateway."),
    State.NEW: _("The gateway has it. A callback will tell what became of it."),
    State.PENDING: _("The network has it. A callback will tell what became of it."),
    State.UNDELIVERABLE: _("The network could not deliver it. Check the number."),
    State.EXPIRED: _("The phone could not be reached in time. It may have been switched off."),
    State.REJECTED: _(
        "The network rejected it. Perhaps the network does not accept the number or the sender."
    ),
    State.VALIDATED: _(
        "This was a dry run: the gateway would accept the message. Nothing was "
        "sent, and nothing was paid."
    ),
    State.CANCELLED: _("It was cancelled before it was sent."),
    State.UNKNOWN: _(
        "It may have been sent, or not: no clear answer came. Before you send it again, choose "
        "“Refresh”, which asks the gateway what became of it. If you have no such button, ask "
        "somebody who has it."
    ),
}


def explain(message: Message) -> Explanation:
    """Return why a message failed, waits for another attempt, or is UNKNOWN.

    If there is nothing to explain, `short` and `advice` are empty.
    """
    if message.state == State.CANCELLED:  # its error, if any, is of an earlier attempt
        return Explanation("", "")
    kind, code, status = error_kind(message.error), message.error_code, message.error_status
    if code in BY_CODE:
        return BY_CODE[code]
    if kind is SMSLimited:
        return Explanation(LIMITED.short % code, str(LIMITED.advice).format(code=code))
    if kind is SMSUnavailable and status:
        advice = str(ANSWERED.advice).format(status=status)
        return Explanation(ANSWERED.short % status, advice)
    if kind is SMSOutcomeUnknown and status:
        return UNCLEAR
    reason = BY_ERROR.get(kind, Explanation("", ""))
    if kind is SMSRefused and code.isdigit():
        return reason._replace(short=f"{reason.short} ({code})")
    return reason


def is_retried(state: str, error: str, code: str) -> bool:
    """Whether a message with this state, error and code is retried at its `next_attempt_at`.

    Return False for the code "suspended": such a message waits for the end of a suspension.
    """
    return state == State.QUEUED and bool(error) and code != "suspended"


def next_try(message: Message) -> datetime | None:
    """Return the time at which a worker tries the message again, or None if no worker does so."""
    is_in_time = message.next_attempt_at < message.expires_at  # later, the worker fails it
    waits = is_retried(message.state, message.error, message.error_code)
    is_tried = waits and is_in_time and not _is_of_stopped_batch(message)
    return message.next_attempt_at if is_tried else None


def pauses() -> QuerySet[Suspension]:
    """Return the suspensions that currently pause a whole alias."""
    return Suspension.objects.active(timezone.now()).filter(scope="alias")


def is_paused(message: Message) -> bool:
    """Whether the alias of the message is paused. Workers send nothing through a paused alias."""
    if hasattr(message, "in_pause"):  # the list has read it for all its messages
        return bool(message.in_pause)
    return pauses().filter(alias=message.alias, environment=message.environment).exists()


def error_in_words(error: str, code: str = "", status: int | None = None) -> str:
    """Return a stored error in words, or "" if `error` is empty.

    `error` is the name of an exception class. `code` and `status` add details. For SMSUnavailable,
    for example, they show whether the gateway answered or could not be reached.
    """
    if not error:
        return ""
    if code in BY_CODE:
        return capfirst(str(BY_CODE[code].short))
    return error_kind(error)(status=status).explain()


def advise(message: Message) -> Promise | str:
    """Explain the state of a message and the next step, in one or two sentences."""
    if message.is_from_elsewhere:
        return FROM_ELSEWHERE
    if message.state in UNFINISHED and message.alias not in sms_backends:
        return ALIAS_GONE
    if message.state == State.FAILED:
        return explain(message).advice
    if said := _OF_STATE.get(message.state, _nothing)(message):
        return said
    said = SETTLED_AS_SENT if _is_settled_as_sent(message) else BY_STATE.get(message.state, "")
    return format_lazy("{} {}", said, BLOCKLISTED) if message.blocklisted else said


def _nothing(message: Message) -> str:
    return ""


def _of_queued(message: Message) -> Promise | str:
    if _is_of_stopped_batch(message):
        return BATCH_STOPPED
    if message.is_undue:
        return SENT_BY_CALL
    if message.error_code == "suspended" or is_paused(message):
        return AFTER_PAUSE
    return _retried(message, at) if (at := next_try(message)) else ""


def _of_sending(message: Message) -> Promise | str:
    """Return a sentence if the gateway's answer is overdue; before that, return ""."""
    now, until = timezone.now(), message.lease_until
    if until is None or until < now:
        return DIED
    is_late = until - now < longest_request()
    return format_html(str(NO_ANSWER_YET), short_start(until)) if is_late else ""


def _of_unknown(message: Message) -> Promise | str:
    if _was_looked_up(message):
        return ASKED
    return explain(message).advice if message.error_code in BY_CODE else ""


_OF_STATE: dict[str, Callable[[Message], Promise | str]] = {
    State.QUEUED: _of_queued,
    State.SENDING: _of_sending,
    State.UNKNOWN: _of_unknown,
}


def _is_of_stopped_batch(message: Message) -> bool:
    """Whether the message's batch was stopped. Workers cancel waiting messages of such a batch."""
    if hasattr(message, "in_stop"):  # the list has read it for all its messages
        return bool(message.in_stop)
    if message.batch is None:
        return False
    stops = stops_of([message.batch])
    return stops.filter(alias=message.alias, environment=message.environment).exists()


def _retried(message: Message, at: datetime) -> Promise | str:
    is_dry_run = _waits_for_dry_run(message)
    if at <= timezone.now():  # a time that is past would confuse the reader
        return DRY_RUN_FAILED_SOON if is_dry_run else RETRIED_SOON
    sentence = DRY_RUN_FAILED if is_dry_run else RETRIED
    return format_html(str(sentence), short_start(at))


def _waits_for_dry_run(message: Message) -> bool:
    """Whether a queued message of a mass send waits because the preflight failed."""
    is_of_gateway = issubclass(error_kind(message.error), SMSUnavailable)
    return message.preflight and not message.attempts and is_of_gateway


def _was_looked_up(message: Message) -> bool:
    """Whether the gateway was asked about the message since the last attempt to send it."""
    asked, tried = message.checked_at, message.claimed_at
    return asked is not None and (tried is None or asked > tried)


def _is_settled_as_sent(message: Message) -> bool:
    if message.state != State.PENDING or message.provider_id:  # the gateway said so itself
        return False
    return message.events.filter(kind=Event.Kind.SETTLED).exists()
