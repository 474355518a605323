"""The functions that a project calls to send messages."""

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

_NOT_STORED = _("The message is in another database than the one that stores new messages.")
BLOCK_ROWS = 250
"""How many messages are read from the caller's iterable at a time."""
QUEUED_ROWS = 1000
"""With a queue, this value replaces BLOCK_ROWS. It is larger, as each block needs a commit."""


class CallOptions(TypedDict, total=False):
    using: str
    queue: bool | str | None
    created_by: Any


class BatchOptions(CallOptions, total=False):
    preflight: bool | None


class SendOptions(SMSOptions, CallOptions):
    """The types of the options of `send_sms`."""


class MassSendOptions(SMSOptions, BatchOptions):
    """The types of the options of `send_mass_sms`."""


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

    In autocommit mode, the message is sent before this function returns. Inside a transaction, the
    message is sent when the transaction commits. After a rollback, the message is not sent. With a
    queue, or with `send_at` in the future, the row stays QUEUED until a worker sends the message.

    Args:
        recipient: a telephone number, such as "+39 333 123-4567", or an object with `as_e164`.
            If the package extra `numbers` is not installed, only E.164 is valid: "+393331234567".
        sender: the name that the telephone shows: 3 to 11 letters, digits and spaces. "" means the
            sender of the alias.
        using: the alias in the SMSWW setting.
        queue: who sends the message: `smsww_worker` (True), this call (False), or a task queue (the
            dotted path of the function for this queue). None means the default of the alias.
        created_by: the user on whose behalf the message is sent. An anonymous user counts as None.
        key: your own idempotency key, unique within the alias. A dry run and a real message can
            have the same key. A second call with the key writes no new row, and does not compare
            the texts. If the first message is under way, accepted or cancelled, the second call
            returns its row. If its number, sender or text was refused, or its outcome is unknown,
            the second call raises the same error again. If the first message is FAILED for
            another reason, the second call tries to send the same row again. If the first message
            is FAILED and was resent, the second call returns the newest resend.
        dry_run: let the gateway check the message, and do not send the message. The check is free.
        fail_on_multiple_messages: refuse a text of more than one segment.
        custom: a JSON object that the gateway returns with each callback.
        tag: a label for grouping messages, with at most 64 characters.
        sensitive: delete the text as soon as the message was sent or has failed. If the message is
            not sent within 10 minutes, it becomes FAILED.
        send_at, expires_at: datetimes, aware if USE_TZ is True. The message is not sent before
            `send_at` or after `expires_at`.
        priority: queued messages with a greater priority are sent first.

    Raises:
        InvalidSMS: the message is not valid. There is no row, and no request was made.
        SMSLimited: a limit of the alias, such as `max_per_number`, is reached.
        SMSError: this call tried to send the message and failed. The subclass gives the reason. The
            attribute `message` is the row, which no worker tries to send again.
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

    No error is raised for a single message: check each row's `state`. An invalid number gets a
    FAILED row (`error_code` "invalid"). If a number occurs twice, it gets one message, and the
    message's row is in the returned list twice. All rows have the same `batch`. The other arguments
    are those of `send_sms`. If you repeat the call with the same `key`, each number still gets only
    one message.

    Args:
        preflight: first check the text and the sender with one free dry run. If the gateway
            refuses the dry run, all rows become FAILED. None means True for 20 or more numbers.

    Raises:
        InvalidSMS: the text, the sender or another argument is not valid. There are no rows.
    """
    if isinstance(recipients, str):
        raise InvalidSMS("recipients must be a list of numbers, not one string.")
    backend = sms_backends[using]
    numbers = [backend.read_recipient(recipient) for recipient in recipients]
    template = _sms(body, "", sender, options).replace(batch=uuid4())
    backend.validate_content(backend.prepare(template))
    # Values that are no strings are not valid, and may not be hashable: each gets its own row.
    names = [number if isinstance(number, str) else (n,) for n, number in enumerate(numbers)]
    messages = {name: _copy(template, to) for name, to in zip(names, numbers, strict=True)}
    if preflight is None:
        preflight = len(messages) >= NUMBERS_ENOUGH
    rows = send_messages(
        messages.values(), using=using, queue=queue, created_by=created_by, preflight=preflight
    )
    row_of = dict(zip(messages, rows, strict=True))
    return [row_of[name] for name in names]


@without_private_frames
def send_messages(messages: Iterable[SMS], **options: Unpack[BatchOptions]) -> list[Message]:
    """Send different messages and return their rows, in the order of the messages.

    The options are those of `iter_send`. No error is raised for a single message, and an invalid
    message gets a FAILED row. Each SMS object is one message: if you pass the object again to
    a later call, that call returns the existing row, sends nothing for it, and logs a warning.
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
    """Send different messages; yield each row when it is done, in the order of the messages.

    This function reads `messages` in blocks of 250 (1000 for a queue), so memory does not grow with
    the number of messages. New rows are written while earlier rows are being sent.

    If you stop iterating, the running requests are completed. Rows that were not sent become FAILED
    (`error_code` "interrupted"). Up to two blocks may have been read in advance. If a message in
    these blocks has no row yet, the message is not sent.

    Args:
        using, queue, created_by: as for `send_sms`.
        preflight: if True, make a free dry run of each pair of text and sender, before the first
            message with this pair is sent. None means False.

    Raises:
        TransactionManagementError: autocommit is off and no `atomic()` is open. Or you opened a
            transaction after a row was yielded: a rollback would undo changes to later rows.
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
    """Send a message again as a new row, and return the new row. Its `resend_of` is the old row.

    Args:
        key: the idempotency key of the new row. No other row may have this key. "" means no key.

    Raises:
        InvalidSMS: the message must not be resent. The error text says why.
        SMSError: as in `send_sms`.
    """
    using = router.db_for_write(Message, instance=message)
    # The message may come from a replica or another database, so find it by its reference.
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

    The call runs in the thread that Django uses for the database calls of the web request. So an
    open transaction in this thread delays the message, and several calls run one after the other.
    If the asyncio task is cancelled meanwhile, the message is still sent, and its result is stored.
    """
    return await sync_to_async(send_sms)(body, recipient, sender, **options)


@awithout_private_frames
async def asend_mass_sms(
    body: str, recipients: Iterable[Recipient], sender: str = "", **options: Unpack[MassSendOptions]
) -> list[Message]:
    """Send one text to many numbers from asynchronous code.

    The arguments are those of `send_mass_sms`.
    """
    return await sync_to_async(send_mass_sms)(body, recipients, sender, **options)


def _sms(body: str, recipient: Any, sender: str, options: SMSOptions) -> SMS:
    # `batch` and `reference` are fields of an SMS, but no options of these functions.
    if unknown := sorted(options.keys() - SMSOptions.__annotations__.keys()):
        raise TypeError(f"unexpected keyword argument {unknown[0]!r}")
    return SMS(body, recipient, sender, **options)


def _send_one(dispatch: Dispatch, sms: SMS, resend_of: Message | None = None) -> Message:
    """Send one message and return its row. If the row is FAILED or UNKNOWN, raise its error."""
    try:
        message = None if resend_of else dispatch.send_alone(sms)
        if message is None:
            dispatch.writer.validate(sms)
            resends = {sms.reference: resend_of} if resend_of else None
            [message] = dispatch.send([[sms]], resends)
    except DatabaseError as fault:
        if dispatch.last_sent is None:  # nothing was sent, and nothing will be
            raise
        message = dispatch.last_sent
        lost = SMSOutcomeUnknown(code="not_stored", detail=type(fault).__name__)
        dispatch.errors.setdefault(message.pk, lost)
        with suppress(DatabaseError):
            message.refresh_from_db()
    error = dispatch.errors.get(message.pk)
    is_lost = message.state == State.SENDING and error is not None
    if is_lost or message.state in (State.FAILED, State.UNKNOWN):
        # The original error knows more than the row, such as `retry_after`.
        error = error or message.as_error()
        error.message = message
        raise error
    return message


def _copy(template: SMS, recipient: Any) -> SMS:
    """Return a copy of the message for one number of a mass send, with a key for this number."""
    key = template.key
    if key:
        digest = hashlib.sha256(f"{key}:{recipient}".encode(errors="replace")).hexdigest()
        key = f"{key[:160]}:{digest[:32]}"
    return template.replace(recipient=recipient, reference=uuid4(), key=key)
