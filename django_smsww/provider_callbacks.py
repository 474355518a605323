"""What the provider noted of its callbacks of one message: its evidence where none arrived here.

The account host lists callbacks without saying to which message each belongs. So those of the
message's time are opened one by one, up to a limit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from .account import Account, CallbackRecord
from .backends.openapi import SMSBackend
from .exceptions import InvalidSMSBackend
from .handler import sms_backends
from .message import RESERVED_CUSTOM_KEY
from .models import Message

MAX_PAGES = 5
MAX_OPENED = 50
_PAGE = 100
_EARLY = timedelta(minutes=5)
_LATE = timedelta(hours=72)


@dataclass(frozen=True, slots=True)
class NotedCallback:
    """One callback, as the provider noted it, without its headers and without content.

    Attributes:
        state: what it said of the message.
        status: the HTTP status of our answer; None if there was none.
        attempt: how often it was tried.
        elapsed: milliseconds that our answer took.
        url: where it went, without a query.
    """

    id: str
    state: str
    status: int | None
    attempt: int | None
    elapsed: int | None
    started_at: datetime | None
    completed_at: datetime | None
    url: str


@dataclass(slots=True)
class ProviderCallbacks:
    """What was found.

    Attributes:
        opened: how many records were opened to find them.
        complete: False if there was more to open than the limit allows.
    """

    callbacks: list[NotedCallback] = field(default_factory=list)
    opened: int = 0
    complete: bool = True


def can_be_asked(message: Message) -> bool:
    """Tell whether the message's alias has an account that keeps such records."""
    try:
        backend = sms_backends[message.alias]
    except InvalidSMSBackend:
        return False
    is_ours = message.environment == backend.environment
    return is_ours and isinstance(backend, SMSBackend) and backend.account.is_configured


def provider_callbacks(message: Message) -> ProviderCallbacks:
    """Return what the provider says of its callbacks of this message.

    Raises:
        ValueError: the alias has no account_email and api_key, or is not of the openapi backend.
        SMSError: the account host refused, or gave no usable answer.
    """
    backend = sms_backends[message.alias]
    if not isinstance(backend, SMSBackend):
        raise ValueError("This alias has no account that could be asked.")
    found = ProviderCallbacks()
    for listed in _of_that_time(backend.account, message, found):
        if found.opened == MAX_OPENED:
            found.complete = False
            break
        found.opened += 1
        record = backend.account.callback(listed.id)
        if record is not None and _is_of(message, record):
            found.callbacks.append(_scrubbed(record))
    found.callbacks.sort(key=lambda each: (each.started_at is None, each.started_at, each.id))
    return found


def _of_that_time(
    account: Account, message: Message, found: ProviderCallbacks
) -> Iterator[CallbackRecord]:
    """Yield the records of the time in which the message can have been reported of."""
    begin = (message.claimed_at or message.created_at) - _EARLY
    seen: set[str] = set()
    for page in range(MAX_PAGES):
        records = account.callbacks(skip=page * _PAGE, limit=_PAGE)
        for record in records:
            fresh, started = record.id and record.id not in seen, record.started_at
            seen.add(record.id)
            if fresh and (started is None or begin <= started <= begin + _LATE):
                yield record
        if len(records) < _PAGE:
            return
    found.complete = False


def _is_of(message: Message, record: CallbackRecord) -> bool:
    stamp = record.custom.get(RESERVED_CUSTOM_KEY)
    if isinstance(stamp, dict) and stamp.get("reference"):
        ours = (str(message.reference), message.environment)
        return (stamp.get("reference"), stamp.get("environment")) == ours
    said = record.message
    return bool(said and message.provider_id and said.provider_id == message.provider_id)


def _scrubbed(record: CallbackRecord) -> NotedCallback:
    parts = urlsplit(record.url)
    return NotedCallback(
        id=record.id,
        state=record.message.state if record.message else "",
        status=record.status,
        attempt=record.attempt,
        elapsed=record.elapsed,
        started_at=record.started_at,
        completed_at=record.completed_at,
        url=f"{parts.scheme}://{parts.hostname or ''}{parts.path}"[:200],
    )
