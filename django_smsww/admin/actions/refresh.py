"""Ask the gateway about messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import Model
from django.utils.translation import gettext, ngettext_lazy
from django.utils.translation import gettext_lazy as _

from ...models import Message
from ...reconcile import Refreshed, refresh, why_not_refreshable
from ...states import State
from ..formatting import kept_text
from .base import Action, Result, Text


class Refresh(Action):
    """Look up messages with a provider id one by one, and UNKNOWN ones in the gateway's list."""

    name = "refresh"
    button = _("Refresh…")
    label = _("Refresh selected messages from the gateway")
    confirm = _("Refresh")
    title = _("Ask the gateway what became of this message?")
    title_selected = _("Ask the gateway what became of these messages?")
    leaving = ngettext_lazy("%d message is looked up:", "%d messages are looked up:")
    staying = _("The gateway is not asked about these")
    done = ngettext_lazy("%d message was looked up.", "%d messages were looked up.")
    warning = _("It costs nothing, and sends nothing.")

    def why_not(self, message: Message) -> Text:
        """Refuse messages that the gateway, or this deployment, does not know."""
        reason = why_not_refreshable(message)
        return gettext(reason) if reason else ""

    def do_all(
        self, rows: Iterable[Message], user: Model, answers: dict[str, Any]
    ) -> Iterator[Result]:
        """Read the list once for all messages without a provider id, and look up the others."""
        return map(_told, refresh(rows))


def _told(answer: Refreshed) -> Result:
    message = answer.message
    if answer.error is not None:
        text = gettext("The gateway gave no answer: %s") % answer.error.explain()
        return Result(message, text, text, stop=True)
    log = (message, gettext("Looked up at the gateway"))
    if answer.is_missing:
        text = gettext("The gateway has no such message.")
        return Result(message, text, text, log)
    text = gettext("The gateway was asked. It is now: %s.") % State(message.state).label
    is_unknown = message.state == State.UNKNOWN
    problem = kept_text(message.error_text) or text if is_unknown else ""
    return Result(message, text, problem, log)
