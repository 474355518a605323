"""Write the rows of messages, or find existing rows with the same idempotency keys."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress
from typing import Any
from uuid import UUID, uuid4

from django.db import DatabaseError, DataError, IntegrityError, connections, transaction
from django.utils import timezone
from django.utils.translation.trans_null import gettext_noop as _

from ..backends.base import BaseSMSBackend
from ..clock import database_now
from ..exceptions import InvalidSMS
from ..models import Batch, Message, Suppression, single
from ..models.bulk import insert_many, one_of
from ..models.commit import in_transaction
from ..models.message import RESENT_ALREADY, STILL_UNDER_WAY
from ..models.suppression import suppressed
from ..sms import SMS
from ..states import State
from ..worker.limits import check_guards
from .new_rows import RowMaker, storable_columns, text_columns

logger = logging.getLogger("django_smsww")

_REFUSED = _("The database refused the message (%(error)s); nothing was sent")
_KEY_IS_USED = "The key was used for another recipient: give each its own."

Resends = Mapping[UUID, Message]
"""A mapping from the reference of each new message to the old message that it resends."""


class RowWriter(RowMaker):
    def __init__(self, backend: BaseSMSBackend, **options: Any) -> None:
        super().__init__(backend, **options)
        self._began = self.now
        self._batches = Batch.objects.using(self.using)

    def validate(self, sms: SMS) -> None:
        """Raise InvalidSMS if the message is not valid, and SMSLimited if a limit is reached."""
        prepared = self.backend.prepare(sms)
        self.backend.validate(prepared)
        known = self._known([sms]).get(self._key(sms))
        if known and known.recipient != prepared.recipient and not known.scrubbed:
            raise InvalidSMS(_KEY_IS_USED)
        if known is None:
            check_guards(self.backend, prepared, self.created_by, using=self.using)
        if known is None and self._suppressed([prepared]):
            raise suppressed()

    def insert(self, row: Message) -> Message | None:
        """Insert a row that `row_of()` has made, and return the inserted row.

        Return None if the row was not inserted, for example because its key is in use. The caller
        then calls `write()`, which handles every case.
        """
        is_inside = in_transaction(self.using)
        # Without a savepoint, a used key would break the caller's transaction.
        has_savepoint = is_inside and bool(row.key)
        try:
            with transaction.atomic(using=self.using) if has_savepoint else nullcontext():
                return single.insert_queued(row, self.using)
        except single.REFUSALS:
            if is_inside and not has_savepoint and connections[self.using].vendor == "postgresql":
                raise  # the transaction is broken
            return None

    def claim(self, sms: SMS) -> Message:
        """Insert the row of this message, or return the existing row with the same key.

        If several calls use the same key at once, only one of them inserts a row. Nothing is sent.
        """
        sms = self._read(sms)
        row, batches = self._new_row(sms, None, self._suppressed([sms])), self._batches
        batches.note([row])
        try:
            with transaction.atomic(using=self.using):
                row.save(using=self.using, force_insert=True)
        except IntegrityError:
            batches.forget([row])
            if first := self._known([sms]).get(self._key(sms)):
                return first
            raise
        return row

    def write(self, messages: Sequence[SMS], resends: Resends | None = None) -> list[Message]:
        """Insert and return a row for each message. `_reuse()` handles keys that are in use."""
        self.begin_block()
        messages = list(map(self._read, messages))
        known = self._known(messages)
        unwanted = self._suppressed(messages)
        names = list(map(self._name, messages))
        rows: dict[object, Message] = {}
        for name, sms in zip(names, messages, strict=True):
            if name not in rows:
                row = self._new_row(sms, (resends or {}).get(sms.reference), unwanted)
                first = known.get((row.key, row.dry_run))
                rows[name] = self._reuse(first, row) if first else row
        new = {name: row for name, row in rows.items() if row.pk is None}
        self._batches.note(list(new.values()))
        try:
            rows |= self._insert(new)
        except InvalidSMS:  # one of them was resent meanwhile
            self._batches.forget([row for row in new.values() if row.pk is None])
            raise
        return [rows[name] for name in names]

    def _read(self, sms: SMS) -> SMS:
        """Return the message with its number in E.164, the form of the numbers in the database."""
        number = self.backend.read_recipient(sms.recipient)
        return sms if number is sms.recipient else sms.replace(recipient=number)

    def _name(self, sms: SMS) -> object:
        """Return a name for the row. Messages of one call that have the same name share a row."""
        key = self._key(sms)
        return (*key, str(sms.recipient)) if key[0] else sms.reference

    def _key(self, sms: SMS) -> tuple[str | None, bool]:
        """Return the key, and whether the message is a dry run: dry runs have separate keys."""
        is_dry = self.backend.dry_run if sms.dry_run is None else sms.dry_run
        return sms.key if isinstance(sms.key, str) else "", is_dry is True

    def _known(self, messages: Sequence[SMS]) -> dict[tuple[str | None, bool], Message]:
        keys = list({key for sms in messages if (key := self._key(sms)[0])})
        if not keys:
            return {}
        named = one_of(keys, self.using)
        rows = Message.objects.using(self.using).filter(alias=self.backend.alias, key__in=named)
        return {(row.key, row.dry_run): row for row in rows}

    def _suppressed(self, messages: Sequence[SMS]) -> set[str]:
        return Suppression.objects.using(self.using).among(sms.recipient for sms in messages)

    def _reuse(self, first: Message, row: Message) -> Message:
        """Return the row to use instead of `row`, because the stored row `first` has the same key.

        - If the recipients differ, return a FAILED copy of `row` without the key.
        - If `first` is not FAILED, return `first`.
        - If `first` is FAILED and was resent, return its newest resend.
        - If `first` is FAILED and was not resent, return it. If its text is known, queue it again.
        """
        if not _is_same(first, row):
            return _without_key(row)
        if first.state != State.FAILED:
            return self._join(first)
        is_valid = row.state == State.QUEUED
        text = text_columns(row.body) if first.scrubbed and is_valid else {}
        if text or not first.scrubbed:
            expires_at = row.expires_at if is_valid else first.expires_at
            again = self.first_attempt(None, expires_at)
            first.requeue(expires_at=expires_at, next_attempt_at=again, **text)
        first.refresh_from_db()  # another call with the key may have changed it
        return first.newest

    def _join(self, first: Message) -> Message:
        """Return `first`, the existing row with the key or the reference of the new message.

        If `first` is QUEUED and this call cannot send it, let `smsww_worker` send it.
        """
        if first.state == State.QUEUED:
            undue = Message.objects.using(self.using).undue().filter(pk=first.pk)
            if self.sends_now:  # this call sends it, unless another one, maybe dead, leases it
                undue = undue.filter(lease_until__gt=database_now(self.using))
            undue.update(next_attempt_at=self.first_sweep(), updated_at=timezone.now())
        return first

    def _insert(self, rows: dict[object, Message]) -> dict[object, Message]:
        """Insert and return these rows.

        If another process has just inserted a row with the same key, return that process's row.
        If the database refuses a row, store a FAILED row instead. Store the other rows as usual.
        """
        try:
            self._insert_all(list(rows.values()))
        except DatabaseError as error:
            # Among several rows, one may be at fault, whatever the class of the error.
            if len(rows) == 1 and not isinstance(error, IntegrityError | DataError):
                raise
            return {name: self._insert_one(row) for name, row in rows.items()}
        return rows

    def _insert_all(self, rows: list[Message]) -> None:
        resent = [row.resend_of for row in rows if row.resend_of]
        # A statement alone needs no transaction of its own.
        has_block = resent or connections[self.using].in_atomic_block
        with transaction.atomic(using=self.using) if has_block else nullcontext():
            self._claim(resent)
            insert_many(Message, rows, "reference", self.using)

    def _claim(self, resent: Iterable[Message]) -> None:
        """Set `updated_at` of each old row that is resent, so that only one call can resend it.

        Raise InvalidSMS if an old row has changed since it was read.
        """
        for first in resent:
            unchanged = Message.objects.using(self.using).filter(
                pk=first.pk, updated_at=first.updated_at
            )
            # A call that repeats the key of that row needs it unchanged too. So if both calls come
            # at the same time, one of them fails, and the message is not sent twice.
            if unchanged.update(updated_at=timezone.now()):
                continue
            is_resent = Message.objects.using(self.using).filter(resend_of=first.pk).exists()
            text = RESENT_ALREADY if is_resent else STILL_UNDER_WAY
            raise InvalidSMS(text, code="not_resendable")

    def _insert_one(self, row: Message) -> Message:
        row.pk = None
        try:
            with transaction.atomic(using=self.using):
                self._claim([row.resend_of] if row.resend_of else [])
                row.save(using=self.using, force_insert=True)
        except IntegrityError:
            if row.resend_of_id:
                raise InvalidSMS(RESENT_ALREADY, code="not_resendable") from None
            return self._insert_beside(row)
        except DatabaseError as error:
            return self._insert_refused(row, error)
        return row

    def _insert_refused(self, row: Message, error: DatabaseError) -> Message:
        """Insert a FAILED row in place of `row`, which the database refused with `error`.

        If the database refuses the FAILED row as well, raise `error`.
        """
        kind = {"error": type(error).__name__}
        failed = _failed(row, InvalidSMS(_REFUSED, params=kind, code="not_stored"))
        try:
            with transaction.atomic(using=self.using):
                failed.save(using=self.using, force_insert=True)
        except DatabaseError:
            raise error from None
        return failed

    def _insert_beside(self, row: Message) -> Message:
        """Return the existing row of this message. If there is none, insert `row`.

        If the key of the message was used for another recipient, insert a FAILED row.
        """
        rows = Message.objects.using(self.using).filter(alias=row.alias)
        if connections[self.using].vendor == "mysql" and in_transaction(self.using):
            # Under REPEATABLE READ only a locking SELECT sees a row that was committed meanwhile.
            rows = rows.select_for_update()
        if row.key:
            first = rows.filter(key=row.key, dry_run=row.dry_run).first()
        elif first := rows.filter(reference=row.reference).first():
            self._warn_of_repetition(first)
        if first and _is_same(first, row):
            self._batches.forget([row])
            return self._join(first)
        if first and row.key:
            row = _without_key(row)
        row.reference = uuid4()  # another alias has a row with the first one
        row.save(using=self.using, force_insert=True)
        return row

    def _warn_of_repetition(self, first: Message) -> None:
        """Log a warning if `first`, the row that the SMS already has, is from an earlier call."""
        if first.created_at < self._began:
            logger.warning(
                "Message %s was sent by an earlier call, and is not sent again. Make a new SMS, "
                "or a copy with sms.replace(reference=uuid4()).",
                first.reference,
                extra={"reference": first.reference, "alias": first.alias},
            )

    def _new_row(self, sms: SMS, resend_of: Message | None, unwanted: set[str]) -> Message:
        try:
            row = self.row_of(sms)
            if row.recipient in unwanted:
                raise suppressed()
        except InvalidSMS as error:
            with suppress(InvalidSMS):
                sms = self.backend.prepare(sms)
            columns = self.common | storable_columns(sms)
            row = Message.invalid(error, **columns, reference=sms.reference, batch=sms.batch)
        if resend_of:
            row.resend_of = resend_of
        return row


def _is_same(first: Message, row: Message) -> bool:
    return first.key == row.key and (first.scrubbed or first.recipient == row.recipient)


def _without_key(row: Message) -> Message:
    """Return a keyless FAILED row for a message whose key was used for another recipient."""
    return _failed(row, InvalidSMS(_KEY_IS_USED), body="" if row.sensitive else row.body)


def _failed(row: Message, error: InvalidSMS, body: str = "") -> Message:
    """Return a FAILED row that replaces `row` and has no key."""
    kept = ("reference", "alias", "environment", "batch", "created_by", "recipient", "sender")
    return Message.invalid(error, body=body, **{name: getattr(row, name) for name in kept})
