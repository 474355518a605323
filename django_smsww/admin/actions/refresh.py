"""Ask the gateway about messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import Model
from django.utils.translation import gettext, ngettext_lazy
from django.utils.translation import gettext_lazy as _

from ...backends.handler import sms_backends
from ...exceptions import InvalidSMSBackend, SMSError
from ...models import Message
from ...reconcile import look_up, sync
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
    staying = _("These are not asked for")
    done = ngettext_lazy("%d message was looked up.", "%d messages were looked up.")
    warning = _("It costs nothing, and sends nothing.")

    def why_not(self, message: Message) -> Text:
        """Refuse messages that the gateway, or this deployment, does not know."""
        if not message.provider_id and message.state != State.UNKNOWN:
            return _("The gateway does not know it.")
        try:
            backend = sms_backends[message.alias]
        except InvalidSMSBackend:
            return _("Its alias cannot be used as it is configured now.")
        if message.environment != backend.environment:
            return _("It belongs to another deployment.")
        can = backend.supports_fetch if message.provider_id else backend.supports_fetch_page
        return "" if can else _("Its backend cannot look messages up.")

    def do_all(
        self, rows: Iterable[Message], user: Model, answers: dict[str, Any]
    ) -> Iterator[Result]:
        """Read the list once for all messages without a provider id, and look up the others."""
        rows = list(rows)
        lost = {row.alias for row in rows if not row.provider_id}
        errors = {alias: sync(alias, max_lookups=0).error for alias in sorted(lost)}
        for row in rows:
            yield _look_up(row) if row.provider_id else _answer(row, errors[row.alias])


def _look_up(message: Message) -> Result:
    try:
        outcome = look_up(message)
    except SMSError as error:
        return _answer(message, error)
    if outcome is None:
        text = gettext("The gateway has no such message.")
        return Result(message, text, text, _log(message))
    return _answer(message, None)


def _answer(message: Message, error: SMSError | None) -> Result:
    if error is not None:
        text = gettext("The gateway gave no answer: %s") % error.explain()
        return Result(message, text, text, stop=True)
    message.refresh_from_db()
    text = gettext("The gateway was asked. It is now: %s.") % State(message.state).label
    is_unknown = message.state == State.UNKNOWN
    problem = kept_text(message.error_text) or text if is_unknown else ""
    return Result(message, text, problem, _log(message))


def _log(message: Message) -> tuple[tuple[Message, str], ...]:
    return ((message, "Looked up at the gateway."),)
