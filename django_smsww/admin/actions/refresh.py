"""Ask the gateway what became of messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import Model
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ...backends.handler import sms_backends
from ...exceptions import InvalidSMSBackend, SMSError
from ...models import Message
from ...reconcile import look_up, sync
from ...states import State
from ..formatting import kept_text
from .base import Deed, Done, Text


class Refresh(Deed):
    """Look a message up at the gateway; one whose outcome is unknown is looked for in its list."""

    name = "refresh"
    button = _("Refresh…")
    action = _("Refresh selected messages from the gateway")
    confirm = _("Refresh")
    title = _("Ask the gateway what became of this message?")
    title_many = _("Ask the gateway what became of these messages?")
    staying = _("These are not asked for")
    warning = _("It costs nothing, and sends nothing.")

    def why_not(self, message: Message) -> Text:
        """Return why the gateway cannot be asked."""
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
    ) -> Iterator[Done]:
        """Read the list once for all that must be looked for, and look the others up."""
        rows = list(rows)
        lost = {row.alias for row in rows if not row.provider_id}
        errors = {alias: sync(alias, max_lookups=0).error for alias in sorted(lost)}
        for row in rows:
            yield _look_up(row) if row.provider_id else _found(row, errors[row.alias])

    def do(self, message: Message, user: Model, answers: dict[str, Any]) -> Done:
        """Look up one message."""
        return next(iter(self.do_all([message], user, answers)))

    def leaves(self, count: int) -> str:
        """Say how many are looked up."""
        return ngettext("%d message is looked up:", "%d messages are looked up:", count) % count

    def succeeded(self, count: int) -> str:
        """Say how many were."""
        return ngettext("%d message was looked up.", "%d messages were looked up.", count) % count


def _look_up(message: Message) -> Done:
    try:
        outcome = look_up(message)
    except SMSError as error:
        return _unanswered(message, error)
    if outcome is None:
        said = gettext("The gateway has no such message.")
        return Done(message, said, said, _log(message))
    return _told(message)


def _found(message: Message, error: SMSError | None) -> Done:
    if error is not None:
        return _unanswered(message, error)
    return _told(message)


def _told(message: Message) -> Done:
    message.refresh_from_db()
    said = gettext("The gateway was asked. It is now: %s.") % State(message.state).label
    if message.state == State.UNKNOWN:
        return Done(message, said, kept_text(message.error_text) or said, _log(message))
    return Done(message, said, logged=_log(message))


def _unanswered(message: Message, error: SMSError) -> Done:
    said = gettext("The gateway gave no answer: %s") % error.explain()
    return Done(message, said, said, is_pointless_to_go_on=True)


def _log(message: Message) -> tuple[tuple[Message, str], ...]:
    return ((message, "Looked up at the gateway."),)
