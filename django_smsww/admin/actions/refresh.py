"""The action "refresh": ask the gateway for the current states of messages."""

from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import Model
from django.utils.translation import gettext, ngettext_lazy
from django.utils.translation import gettext_lazy as _

from ...clock import rounded_up
from ...exceptions import SMSError, SMSUnavailable
from ...models import Message
from ...reconcile import Reason, Refreshed, refresh, why_not_refreshable
from ...states import State
from ..formatting import hour, kept_text
from .base import Action, Result, Text


class Refresh(Action):
    """Look up messages by provider id. Without a provider id, search the gateway's list."""

    name = "refresh"
    button = _("Refresh…")
    label = _("Refresh selected messages from the gateway")
    confirm = _("Refresh")
    title = _("Ask the gateway what became of this message?")
    title_selected = _("Ask the gateway what became of these messages?")
    leaving = ngettext_lazy("%d message can be looked up now:", "%d messages can be looked up now:")
    staying = _("The gateway is not asked about these")
    done = ngettext_lazy("%d message was looked up.", "%d messages were looked up.")
    warning = _(
        "It costs nothing, and sends nothing. If the gateway’s list has to be read, it can also "
        "settle other messages whose outcome is unknown."
    )

    def why_not(self, message: Message) -> Text:
        reason = why_not_refreshable(message)
        return gettext(reason) if reason else ""

    def do_all(
        self, rows: Iterable[Message], user: Model, answers: dict[str, Any]
    ) -> Iterator[Result]:
        return map(_told, refresh(rows))


def _why_failed(error: SMSError) -> str:
    if type(error) is SMSUnavailable and error.status:
        return gettext("The gateway gave no usable answer (HTTP %d).") % error.status
    return gettext("The gateway gave no answer: %s") % error.explain()


def _told(answer: Refreshed) -> Result:
    message = answer.message
    if answer.error is not None:
        text = _why_failed(answer.error)
        return Result(message, text, text, stop=True)
    log = (message, gettext("Looked up at the gateway"))
    if answer.is_missing:
        text = gettext("The gateway has no such message.")
        return Result(message, text, text, log)
    if message.state == State.UNKNOWN:
        text = _why_unknown(message)
        return Result(message, text, kept_text(message.error_text) or text, log)
    text = gettext("The gateway was asked. The message is now: %s.") % State(message.state).label
    return Result(message, text, log=log)


def _why_unknown(message: Message) -> str:
    """Return a sentence about a message that is still UNKNOWN after the refresh."""
    if message.provider_id or message.error_text in (Reason.KNOWN.value, Reason.CONTESTED.value):
        return gettext("The gateway knows the message, but its outcome is still unknown.")
    if ends_at := message.grace_ends_at():
        text = gettext(
            "The gateway’s list does not show the message yet. It can be settled from %s on."
        )
        return text % hour(rounded_up(ends_at))
    return gettext("The gateway’s list does not show the message. It can be settled now.")
