"""Functions that send: they write the row, then send it, now or when the transaction commits."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any, TypedDict, Unpack
from uuid import uuid4

from asgiref.sync import sync_to_async
from django.db import DatabaseError, router
from django.utils.translation.trans_null import gettext_noop as _

from ..backends.handler import sms_backends
from ..exceptions import InvalidSMS, SMSOutcomeUnknown
from ..models import Message
from ..numbers import Recipient
from ..sms import SMS, SMSOptions
from ..states import State
from ..worker.preflight import NUMBERS_ENOUGH
from .dispatch import Dispatch
from .rows import RowWriter
from .tracebacks import (
    awithout_private_frames,
    iterate_without_private_frames,
    without_private_frames,
)

_NOT_STORED = _("It is not in the database that messages are written to.")
BLOCK_ROWS = 250
"""How many messages are read from the caller's iterable at a time."""
QUEUED_ROWS = 1000
"""The same for a queue. Each block has a commit of its own, and no thread waits for a message."""


class CallOptions(TypedDict, total=False):
    """Options of a call, beside those of its messages, for type checkers."""

    using: str
    queue: bool | str | None
    created_by: Any


class BatchOptions(CallOptions, total=False):
    preflight: bool | None


class SendOptions(SMSOptions, CallOptions):
    """Options of `send_sms`."""


class MassSendOptions(SMSOptions, BatchOptions):
    """Options of `send_mass_sms`."""


@without_private_frames
def send_sms(
    body: str,
    recipient: Recipient,
    sender: str = "",
    *,
    using: str = "default",
    queue: bool | str | None = None,
    created_by: Any = None,
    **options: Unpack[SMSOptions],
) -> Message:
    """Send one message and return its row.

    In autocommit mode the message has left when this returns. Inside a transaction it leaves when
    the transaction commits, and a rollback sends nothing. With a queue, or `send_at` in the
    future, the row stays QUEUED until `smsww_worker` sends it.

    Args:
        recipient: "+39 333 123-4567", or an object with `as_e164`. Without the extra `numbers`,
            E.164 alone: "+393331234567".
        sender: 3 to 11 letters, digits and spaces; "" for the alias's own.
        using: the alias in the SMSWW setting.
        queue: True to leave it to `smsww_worker`, the dotted path of a task queue's function,
            False to send it now; None for the alias's default.
        created_by: the user on whose behalf it is sent; an anonymous user counts as None.
        key: your own idempotency key, unique per alias. A second call with it makes no second row.
            It returns the first row while that is under way or accepted. It raises the same error
            again if the message was refused or its outcome is unknown. It tries the same row again
            if that certainly was not sent. It returns a cancelled row as it is and, for a row that
            was resent, the newest one. The texts are not compared. Dry runs have keys of their own.
        dry_run: let the gateway validate it; nothing is sent and nothing is paid.
        fail_on_multiple_messages: refuse a text of more than one segment.
        custom: a JSON object that comes back with each callback.
        tag: a label to group messages by, 64 characters at most.
        sensitive: delete the text once it was sent or has failed, after 10 minutes at most.
        send_at, expires_at: aware datetimes; not sent before the one or after the other.
        priority: of the queued messages, the greater leaves first.

    Raises:
        InvalidSMS: before there is a row or a request.
        SMSLimited: a guard of the alias (`max_per_number` and the like) has no room for it.
        SMSError: only if this call has tried the message; the subclass says what failed. The row is
            in the error's `message`, and no worker tries it again.
    """
    dispatch = Dispatch(RowWriter(sms_backends[using], queue=queue, created_by=created_by))
    return _send_one(dispatch, _sms(body, recipient, sender, options))


@without_private_frames
def send_mass_sms(
    body: str,
    recipients: Iterable[Recipient],
    sender: str = "",
    *,
    using: str = "default",
    queue: bool | str | None = None,
    created_by: Any = None,
    preflight: bool | None = None,
    **options: Unpack[SMSOptions],
) -> list[Message]:
    """Send one text to many numbers and return the rows, in the order of the numbers.

    It never raises for a single message: check each row's `state`. A number that is not valid has
    a FAILED row (`error_code` "invalid"); a repeated number gets one message, whose row stands at
    both positions. The rows share a `batch`. The other arguments are those of `send_sms`; a `key`
    stands for the whole call, so a repeated call reaches each number once.

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
    backend = sms_backends[using]
    recipients = [backend.read_recipient(recipient) for recipient in recipients]
    template = _sms(body, "", sender, options).replace(batch=uuid4())
    backend.validate_content(backend.prepare(template))
    # A value that is no string is not valid, and may not be hashable: each has a row of its own.
    names = [name if isinstance(name, str) else (n,) for n, name in enumerate(recipients)]
    messages = {
        name: template.replace(
            recipient=recipient, reference=uuid4(), key=_key_for(template.key, recipient)
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
def send_messages(messages: Iterable[SMS], **options: Unpack[BatchOptions]) -> list[Message]:
    """Send different messages and return their rows, in the same order.

    The options are those of `iter_send`. Like `send_mass_sms`, this never raises for a single
    message, and a message that is not valid has a FAILED row. An SMS object stands for one
    message: if you give it again, nothing is sent, you get its row, and a warning is logged.
    """
    return list(iter_send(messages, **options))


@iterate_without_private_frames
def iter_send(
    messages: Iterable[SMS],
    *,
    using: str = "default",
    queue: bool | str | None = None,
    created_by: Any = None,
    preflight: bool | None = None,
) -> Iterator[Message]:
    """Send different messages, and yield their rows as they are done, in the same order.

    Messages are read from the iterable in blocks of 250 (1000 for a queue), so memory does not grow
    with their number, and some are written while others are on their way. So when you stop
    iterating, up to two blocks have been read: messages that had left are finished, other rows are
    FAILED ("interrupted"), and the rest was neither sent nor written.

    Args:
        using, queue, created_by: as for `send_sms`.
        preflight: make a dry run for each text and sender before anything leaves.

    Raises:
        TransactionManagementError: a transaction was opened between two messages. The rows must
            keep the results even if that transaction is rolled back.
    """
    writer = RowWriter(
        sms_backends[using], queue=queue, created_by=created_by, preflight=bool(preflight)
    )
    dispatch = Dispatch(writer)
    if preflight:  # its verdict is stored for a batch
        batch = uuid4()
        messages = (sms if sms.batch else sms.replace(batch=batch) for sms in messages)
    size = QUEUED_ROWS if writer.queue else BLOCK_ROWS
    for message in dispatch.send(_blocks(messages, size)):
        dispatch.errors.pop(message.pk, None)  # no call raises it, and memory must not grow
        yield message


def _blocks(messages: Iterable[SMS], size: int) -> Iterator[list[SMS]]:
    pending = iter(messages)
    while block := list(islice(pending, size)):
        yield block


@without_private_frames
def resend(message: Message, *, created_by: Any = None, key: str = "") -> Message:
    """Send a message once more, as a new row that points to this one, and return the new row.

    Args:
        key: an unused key, for the new row.

    Raises:
        InvalidSMS: the message must not be resent as it is; the text says why.
        SMSError: as `send_sms` does.
    """
    using = router.db_for_write(Message, instance=message)
    # By its reference, since the message may come from a replica or from another database.
    rows = Message.objects.using(using).filter(reference=message.reference)
    first = rows.resendable().first()
    if first is None:
        row = rows.first()
        why = row.why_not_resendable() if row else _NOT_STORED
        raise InvalidSMS(why, code="not_resendable")
    writer = RowWriter(sms_backends[first.alias], using=using, created_by=created_by)
    dispatch = Dispatch(writer)
    sms = first.as_sms().replace(
        recipient=first.recipient, reference=uuid4(), priority=first.priority, key=key
    )
    return _send_one(dispatch, sms, resend_of=first)


@awithout_private_frames
async def asend_sms(
    body: str, recipient: Recipient, sender: str = "", **options: Unpack[SendOptions]
) -> Message:
    """Send one message from asynchronous code; the arguments are those of `send_sms`.

    It runs in the thread of Django's own database calls of the request. So an open transaction
    delays it, and several calls go one after the other: for many numbers use `asend_mass_sms`. If
    the waiting task is cancelled, the message is sent and recorded all the same.
    """
    return await sync_to_async(send_sms)(body, recipient, sender, **options)


@awithout_private_frames
async def asend_mass_sms(
    body: str, recipients: Iterable[Recipient], sender: str = "", **options: Unpack[MassSendOptions]
) -> list[Message]:
    """Send one text to many from asynchronous code; the arguments are those of `send_mass_sms`."""
    return await sync_to_async(send_mass_sms)(body, recipients, sender, **options)


def _sms(body: str, recipient: Any, sender: str, options: SMSOptions) -> SMS:
    # SMS takes a batch and a reference too, which are no options of these functions.
    if unknown := sorted(options.keys() - SMSOptions.__annotations__.keys()):
        raise TypeError(f"unexpected keyword argument {unknown[0]!r}")
    return SMS(body, recipient, sender, **options)


def _send_one(dispatch: Dispatch, sms: SMS, resend_of: Message | None = None) -> Message:
    """Send one message, and raise its error if it has ended with one already."""
    try:
        message = None if resend_of else dispatch.send_alone(sms)
        if message is None:
            dispatch.writer.validate(sms)
            resends = {sms.reference: resend_of} if resend_of else None
            [message] = dispatch.send([[sms]], resends)
    except DatabaseError as fault:
        if dispatch.last_sent is None:  # nothing left, and nothing will
            raise
        message = dispatch.last_sent
        lost = SMSOutcomeUnknown(code="not_stored", detail=type(fault).__name__)
        dispatch.errors.setdefault(message.pk, lost)
        with suppress(DatabaseError):
            message.refresh_from_db()
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
    if not key:
        return ""
    digest = hashlib.sha256(f"{key}:{recipient}".encode(errors="replace")).hexdigest()
    return f"{key[:160]}:{digest[:32]}"
