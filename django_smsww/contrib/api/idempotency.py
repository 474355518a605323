"""Send once for each `Idempotency-Key`, even if a client repeats the request.

# Note [The keys of clients]
The key of a message is "api:" and a digest of the user and of the header `Idempotency-Key`. So the
key differs from the keys of all other users, and from the keys that the project's own code uses.
"""

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid4, uuid5

from django.db import Error as StorageError
from django.db import router
from django.utils.translation import gettext as _
from rest_framework.exceptions import NotAuthenticated, ValidationError
from rest_framework.request import Request

from django_smsww.backends.base import BaseSMSBackend
from django_smsww.exceptions import (
    InvalidSMS,
    SMSError,
    SMSLimited,
    SMSOutcomeUnknown,
    SMSUnavailable,
    error_kind,
)
from django_smsww.models import Batch, Message, MessageQuerySet, fingerprint
from django_smsww.numbers import is_e164
from django_smsww.sending.api import send_messages, send_sms
from django_smsww.sending.dispatch import queue_for
from django_smsww.sending.rows import RowWriter
from django_smsww.sms import SMS, SMSOptions
from django_smsww.states import State
from django_smsww.worker.preflight import NUMBERS_ENOUGH

from .exceptions import KeyUsed, Limited, NotSent

HEADER = "Idempotency-Key"
LONGEST = 255


def key_of(request: Request) -> str:
    """Return the key for the messages of this request: see Note [The keys of clients].

    Raises:
        NotAuthenticated: the request has no user.
        ValidationError: the request has no valid header `Idempotency-Key`.
    """
    if not (request.user and request.user.is_authenticated):
        raise NotAuthenticated
    given = request.headers.get(HEADER, "").strip()
    if not 0 < len(given) <= LONGEST:
        text = _(
            "Send this header with a value of your own, such as a UUID, of at most %d characters. "
            "Repeat the request with the same value if you got no answer."
        )
        raise ValidationError({HEADER: [text % LONGEST]}, code="required")
    return f"api:{_digest([str(request.user.pk), given])}"


def rows_of(key: str) -> MessageQuerySet:
    """Return the messages that have this key."""
    return Message.objects.using(router.db_for_write(Message)).filter(key=key)


def send_once(sms: SMS, backend: BaseSMSBackend, user: Any) -> Message:
    """Send a message, or return the message of an earlier request with the same key.

    Raises:
        InvalidSMS: the message is not valid, and no row was stored.
        KeyUsed: an earlier request has used the key for another message.
        Limited, NotSent: nothing was sent. The client can repeat the request with the same key.
    """
    sms = backend.prepare(sms)
    known = _known(sms, backend)
    if known and not (known.state == State.QUEUED or may_try_again(known)):
        return known.newest
    options: Any = {name: getattr(sms, name) for name in SMSOptions.__annotations__}
    try:
        row = send_sms(
            sms.body, sms.recipient, sms.sender, using=backend.alias, created_by=user, **options
        )
    except SMSError as error:
        row = _tried(error, sms, backend)
    if row.key == sms.key and not _is_for(row, sms, backend):
        raise KeyUsed  # by another request, at the same time
    return row


def _tried(error: SMSError, sms: SMS, backend: BaseSMSBackend) -> Message:
    """Return the stored row if it is not to be sent again. Otherwise, raise an API exception."""
    row = error.message
    if isinstance(error, SMSLimited):
        raise Limited(error) from None
    if row and not may_try_again(row):
        return row
    if isinstance(error, InvalidSMS):
        _known(sms, backend)  # another request may have used the key at the same time
        raise error
    raise NotSent(error) from None


def send_many(
    sms: SMS, numbers: Sequence[str], backend: BaseSMSBackend, user: Any
) -> tuple[Batch, list[Message]]:
    """Send one text to many numbers. A repeated request sends only the missing messages.

    If the database fails before the first message is stored, raise the database error. If the
    database fails later, return no messages: it is not known which messages are stored.

    Raises:
        InvalidSMS: the message is not valid, and no row was stored.
        KeyUsed: an earlier request has used the key for another message or other numbers.
    """
    sms = backend.prepare(sms)
    content = {name: getattr(sms, name) for name in ("body", "sender", *SMSOptions.__annotations__)}
    reference = uuid5(NAMESPACE_OID, _digest([backend.alias, content, list(numbers)]))
    keys = [sms.key, *(f"{sms.key}:{_digest(number)[:32]}" for number in numbers[1:])]
    messages = [
        sms.replace(recipient=number, key=key, batch=reference, reference=uuid4())
        for number, key in zip(numbers, keys, strict=True)
    ]
    options: Any = {"queue": queue_for(len(numbers), backend), "created_by": user}
    options["preflight"] = len(numbers) >= NUMBERS_ENOUGH
    _claim(messages[0], backend, options)
    try:
        rows = send_messages(messages, using=backend.alias, **options)
    except StorageError:
        if not _may_have_rows(reference):
            raise
        rows = []
    size = len(numbers)
    batch = Batch(reference=reference, tag=sms.tag, size=size, created_by_id=user.pk)
    return _stored(batch, backend), rows


def _claim(sms: SMS, backend: BaseSMSBackend, options: dict[str, Any]) -> None:
    """Store `sms`, unless a message with its key is stored already.

    Raise KeyUsed if the stored message belongs to another batch.
    """
    first = rows_of(sms.key).filter(dry_run=bool(sms.dry_run)).first()
    if first is None:
        backend.validate_content(sms)
        first = RowWriter(backend, **options).claim(sms)
    if first.batch != sms.batch:
        raise KeyUsed


def _stored(batch: Batch, backend: BaseSMSBackend) -> Batch:
    """Read the batch from the database. If this fails, return the given `batch`."""
    batch.alias, batch.environment = backend.alias, backend.environment
    rows = Batch.objects.using(router.db_for_write(Message))
    with suppress(StorageError, Batch.DoesNotExist):
        return rows.get(reference=batch.reference, alias=batch.alias, environment=batch.environment)
    return batch


def _may_have_rows(batch: UUID) -> bool:
    try:
        return Message.objects.using(router.db_for_write(Message)).filter(batch=batch).exists()
    except StorageError:
        return True


def _known(sms: SMS, backend: BaseSMSBackend) -> Message | None:
    """Return the stored message whose `key` and `dry_run` equal those of `sms`, or None.

    A dry run and a real message can have the same key. Raise KeyUsed if a stored message with this
    key has another number, text, alias or batch.
    """
    rows = list(rows_of(sms.key))
    if any(not _is_for(row, sms, backend) for row in rows):
        raise KeyUsed
    return next((row for row in rows if row.dry_run == sms.dry_run), None)


def _is_for(row: Message, sms: SMS, backend: BaseSMSBackend) -> bool:
    # Old rows have lost their numbers, sensitive rows their texts, and erased rows both.
    is_number = row.recipient == sms.recipient or not is_e164(row.recipient)
    known = row.body or row.fingerprint
    is_text = known in ("", sms.body, fingerprint(sms.body))
    return is_number and is_text and (row.alias, row.batch) == (backend.alias, sms.batch)


def may_try_again(row: Message) -> bool:
    """Return True if the message is FAILED but can still be sent by a repeated request."""
    kind = error_kind(row.error)
    is_unsent = issubclass(kind, SMSUnavailable | SMSLimited)
    is_lost_dry_run = row.dry_run and issubclass(kind, SMSOutcomeUnknown)
    is_failed = row.state == State.FAILED and (is_unsent or is_lost_dry_run)
    return is_failed and not hasattr(row, "resent_as")


def _digest(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
