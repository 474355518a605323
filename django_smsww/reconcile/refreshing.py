"""Ask the gateway about messages that a user chose in the admin or through the API."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.utils.translation.trans_null import gettext_noop as _

from ..backends.handler import sms_backends
from ..exceptions import InvalidSMSBackend, SMSError
from ..models import Message
from ..states import State
from .run import look_up, sync

ALIAS_UNUSABLE = _("Its alias cannot be used as it is configured now.")


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The gateway's answer about one message.

    Attributes:
        message: the row, with its new state.
        error: the error that prevented an answer, or None.
        is_missing: True if the gateway has no message with the provider id of the row.
    """

    message: Message
    error: SMSError | None = None
    is_missing: bool = False


def why_not_refreshable(message: Message) -> str:
    """Return the reason (in English) why the gateway cannot look up this message; "" if it can."""
    if not message.provider_id and message.state != State.UNKNOWN:
        return _("The gateway does not know it.")
    try:
        backend = sms_backends[message.alias]
    except InvalidSMSBackend:
        return ALIAS_UNUSABLE
    if message.environment != backend.environment:
        return _("It belongs to another deployment.")
    can = backend.supports_fetch if message.provider_id else backend.supports_fetch_page
    return "" if can else _("Its backend cannot look messages up.")


def refresh(messages: Iterable[Message]) -> Iterator[Refreshed]:
    """Ask the gateway about these messages, and yield one answer for each message.

    For messages without a provider id, the provider's list is read at the start. A message with a
    provider id is looked up when the iteration reaches the message. So a caller that stops after
    an error saves requests.
    """
    rows = list(messages)
    lost = {row.alias for row in rows if not row.provider_id}
    errors = {alias: sync(alias, max_lookups=0).error for alias in sorted(lost)}
    for row in rows:
        answer = _look_up(row) if row.provider_id else Refreshed(row, errors[row.alias])
        if answer.error is None:
            row.refresh_from_db()
        yield answer


def _look_up(message: Message) -> Refreshed:
    try:
        return Refreshed(message, is_missing=look_up(message) is None)
    except SMSError as error:
        return Refreshed(message, error)
