"""Send: write the row, then hand it over, at once or when the transaction commits."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import uuid4

from asgiref.sync import sync_to_async

from ..backends.handler import sms_backends
from ..exceptions import InvalidSMS
from ..models import Message
from ..sms import SMS
from ..states import State
from ..worker.preflight import NUMBERS_ENOUGH
from .dispatch import Dispatch
from .rows import RowWriter
from .tracebacks import awithout_private_frames, without_private_frames

logger = logging.getLogger("django_smsww")

BLOCK = 250
"""How many rows are written, and delivered, at a time."""


@without_private_frames
def send_sms(
    body: str,
    recipient: str,
    sender: str = "",
    *,
    using: str = "default",
    key: str = "",
    dry_run: bool | None = None,
    fail_on_multiple_messages: bool | None = None,
    custom: Mapping[str, Any] | None = None,
    tag: str = "",
    sensitive: bool = False,
    queue: bool | str | None = None,
    send_at: datetime | None = None,
    expires_at: datetime | None = None,
    priority: int = 0,
    created_by: Any = None,
) -> Message:
    """Send one message and return its row.

    In autocommit mode the message has left when this returns. Inside a transaction it leaves when
    the transaction commits, and a rollback sends nothing. With a queue, or `send_at` in the
    future, the row stays QUEUED until `smsww_worker` takes it.

    Args:
        recipient: E.164 with the plus sign: "+393331234567".
        sender: 3 to 11 letters, digits and spaces; "" for the alias's own.
        using: the alias in the SMSWW setting.
        key: your own idempotency key, unique per alias. A second call with it makes no second
            row: it returns the first while that is under way or accepted, raises the same error
            again if it was refused or its outcome is unknown, and tries the same row again if it
            certainly was not sent. A row that a person cancelled is returned as it is; if one was
            resent, the newest stands for it. The texts are not compared.
        dry_run: let the gateway validate it; nothing is sent and nothing is paid.
        fail_on_multiple_messages: refuse a text of more than one segment.
        custom: a JSON object that comes back with each callback.
        tag: a label to group messages by, 64 characters at most.
        sensitive: forget the text as soon as it was handed over, and expire it after 10 minutes.
        queue: True to leave it to `smsww_worker`, the dotted path of an engine, False to send it
            now; None for the alias's default.
        send_at, expires_at: aware datetimes; not sent before the one or after the other.
        priority: of the queued messages, the greater leaves first.
        created_by: the user on whose behalf it is sent.

    Raises:
        InvalidSMS: before there is a row or a request.
        SMSLimited: a guard of the alias (`max_per_number` and the like) has no room for it.
        SMSError: one of its kinds, only where the message has been tried when this returns; the
            row is in its `message`, and nothing more happens to that row by itself.
    """
    dispatch = Dispatch(RowWriter(sms_backends[using], queue=queue, created_by=created_by))
    sms = SMS(
        body,
        recipient,
        sender,
        key=key,
        dry_run=dry_run,
        fail_on_multiple_messages=fail_on_multiple_messages,
        custom=custom,
        tag=tag,
        sensitive=sensitive,
        send_at=send_at,
        expires_at=expires_at,
        priority=priority,
    )
    return _send_one(dispatch, sms)


@without_private_frames
def send_mass_sms(
    body: str,
    recipients: Iterable[str],
    sender: str = "",
    *,
    using: str = "default",
    key: str = "",
    dry_run: bool | None = None,
    fail_on_multiple_messages: bool | None = None,
    custom: Mapping[str, Any] | None = None,
    tag: str = "",
    sensitive: bool = False,
    queue: bool | str | None = None,
    send_at: datetime | None = None,
    expires_at: datetime | None = None,
    priority: int = 0,
    created_by: Any = None,
    preflight: bool | None = None,
) -> list[Message]:
    """Send one text to many numbers and return the rows, in the order of the numbers.

    No outcome is raised: look at each row's `state`. A number that is not valid has a FAILED row
    (`error_code` "invalid"); a repeated one is sent once, and its row stands at both positions.
    The rows share a `batch`. The other arguments are those of `send_sms`; a `key` stands for the
    whole call, so that a repeated call reaches each number once.

    Args:
        preflight: let the gateway check the text and the sender with one dry run before anything
            leaves; if it refuses them, all rows are FAILED at no cost. None does so for 20 numbers
            or more.

    Raises:
        InvalidSMS: the text, the sender or another argument is not valid for any number; there
            is no row then.
    """
    if isinstance(recipients, str):
        raise InvalidSMS("recipients must be a list of numbers, not one string.")
    recipients = list(recipients)
    backend = sms_backends[using]
    template = SMS(
        body,
        "",
        sender,
        dry_run=dry_run,
        fail_on_multiple_messages=fail_on_multiple_messages,
        custom=custom,
        tag=tag,
        key=key,
        sensitive=sensitive,
        send_at=send_at,
        expires_at=expires_at,
        priority=priority,
        batch=uuid4(),
    )
    backend.validate_content(backend.prepare(template))
    # What is no string is not valid, and may not be hashable: each has a row of its own.
    names = [name if isinstance(name, str) else (n,) for n, name in enumerate(recipients)]
    messages = {
        name: template.replace(
            recipient=recipient, reference=uuid4(), key=_key_for(key, recipient) if key else ""
        )
        for name, recipient in zip(names, recipients, strict=True)
    }
    if preflight is None:
        preflight = len(messages) >= NUMBERS_ENOUGH
    rows = send_messages(
        messages.values(), using=using, queue=queue, created_by=created_by, preflight=preflight
    )
    row_of = dict(zip(messages, rows, strict=True))
    return [row_of[name] for name in names]


@without_private_frames
def send_messages(
    messages: Iterable[SMS],
    *,
    using: str = "default",
    queue: bool | str | None = None,
    created_by: Any = None,
    preflight: bool | None = None,
) -> list[Message]:
    """Send different messages and return their rows, in the same order.

    Like `send_mass_sms`, this raises no outcome, and a message that is not valid has a FAILED row.
    A preflight makes a dry run for each text and sender, so it is off unless it is asked for.
    """
    return list(
        iter_send(messages, using=using, queue=queue, created_by=created_by, preflight=preflight)
    )


def iter_send(
    messages: Iterable[SMS],
    *,
    using: str = "default",
    queue: bool | str | None = None,
    created_by: Any = None,
    preflight: bool | None = None,
) -> Iterator[Message]:
    """Send different messages, yielding their rows as they are done, in the same order.

    Messages are taken from the iterable in blocks of 250, so memory does not grow with their
    number, and some are written while others are on their way. So when you stop iterating, up to
    two blocks have been taken: what had left is finished, what else has a row is FAILED
    ("interrupted"), and the rest was neither sent nor written.

    Raises:
        TransactionManagementError: a transaction was opened between two messages: what is sent
            must be written down whether that is committed or not.
    """
    writer = RowWriter(
        sms_backends[using], queue=queue, created_by=created_by, preflight=bool(preflight)
    )
    dispatch = Dispatch(writer)
    if preflight:  # which is made for each text and sender of a batch
        batch = uuid4()
        messages = (sms if sms.batch else sms.replace(batch=batch) for sms in messages)
    for message in dispatch.send(_blocks(messages)):
        dispatch.errors.pop(message.pk, None)  # no call raises it, and memory must not grow
        yield message


def _blocks(messages: Iterable[SMS]) -> Iterator[list[SMS]]:
    pending = iter(messages)
    while block := list(islice(pending, BLOCK)):
        yield block


@without_private_frames
def resend(message: Message, *, created_by: Any = None) -> Message:
    """Send a message once more, as a new row that points to this one, and return the new row.

    Raises:
        InvalidSMS: it must not be resent as it is; the text says why.
        SMSError: as `send_sms` does.
    """
    rows = Message.objects.using(message._state.db)
    first = rows.resendable().filter(pk=message.pk).first()
    if first is None:
        raise InvalidSMS(rows.get(pk=message.pk).why_not_resendable(), code="not_resendable")
    dispatch = Dispatch(RowWriter(sms_backends[first.alias], created_by=created_by))
    sms = first.as_sms().replace(reference=uuid4(), tag=first.tag, priority=first.priority)
    return _send_one(dispatch, sms, resend_of=first)


@awithout_private_frames
async def asend_sms(body: str, recipient: str, sender: str = "", **options: Any) -> Message:
    """Send one message from asynchronous code; the arguments are those of `send_sms`.

    It runs where Django's own database calls of the request run, in one thread: so an open
    transaction holds it back, and several of these go one after the other. For many numbers at
    once use `asend_mass_sms`. Given up while it waits, the message is sent and recorded all the
    same.
    """
    return await sync_to_async(send_sms)(body, recipient, sender, **options)


@awithout_private_frames
async def asend_mass_sms(
    body: str, recipients: Iterable[str], sender: str = "", **options: Any
) -> list[Message]:
    """Send one text to many from asynchronous code; the arguments are those of `send_mass_sms`."""
    return await sync_to_async(send_mass_sms)(body, recipients, sender, **options)


def _send_one(dispatch: Dispatch, sms: SMS, resend_of: Message | None = None) -> Message:
    """Send one message, and raise its error if it has ended with one already."""
    dispatch.writer.validate(sms)
    [message] = dispatch.send([[sms]], resend_of)
    error = dispatch.errors.get(message.pk)
    is_lost = message.state == State.SENDING and error is not None
    if is_lost or message.state in (State.FAILED, State.UNKNOWN):
        # The error as it was raised knows more than the row, such as when to try again.
        error = error or message.as_error()
        error.message = message
        raise error
    return message


def _key_for(key: str, recipient: object) -> str:
    """Return the key of one number of a mass send; it does not show the number."""
    digest = hashlib.sha256(f"{key}:{recipient}".encode(errors="replace")).hexdigest()
    return f"{key[:160]}:{digest[:32]}"
