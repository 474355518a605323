"""Create the rows of new messages, without saving them."""

from dataclasses import fields
from datetime import datetime, timedelta
from functools import cache
from operator import attrgetter, is_
from typing import Any, NamedTuple

from django.db import router
from django.db.models.base import ModelState
from django.db.models.signals import post_init, pre_init
from django.utils import timezone
from django.utils.functional import cached_property

from ..backends.base import BaseSMSBackend
from ..backends.validation import check_names
from ..models import Message, fingerprint
from ..models.commit import in_transaction
from ..models.fields import stored_user
from ..segments import count_segments
from ..sms import SMS

SENSITIVE_LIFETIME = timedelta(minutes=10)
HOOK_GRACE = timedelta(minutes=1)
"""The time that a call or an on-commit hook has to send a row before `smsww_worker` may send it."""

_NAMES = {"recipient", "key", "reference"}
_content_of = attrgetter(*(each.name for each in fields(SMS) if each.name not in _NAMES))


class _Content(NamedTuple):
    """A message's content (all fields except recipient, key and reference), and its columns."""

    values: tuple[Any, ...]
    prepared: SMS
    columns: dict[str, Any]

    def is_of(self, sms: SMS) -> bool:
        """Whether each content field of `sms` is the same object (`is`) as in `values`.

        Equal objects are not enough: 1 equals True, but `sensitive=1` is not valid.
        """
        return all(map(is_, self.values, _content_of(sms)))


@cache
def _defaults() -> dict[str, Any]:
    """Return the attributes of an empty row. Each new row begins with a copy of them.

    In each copy, the caller sets the attributes that must differ between rows, such as `reference`.
    """
    return vars(Message())


class RowMaker:
    """Creates the rows of one send call, which have the same backend, user and queue."""

    def __init__(
        self,
        backend: BaseSMSBackend,
        *,
        queue: bool | str | None = None,
        created_by: Any = None,
        preflight: bool = False,
        using: str = "",
    ) -> None:
        self.backend, self.using = backend, using or router.db_for_write(Message)
        self.queue = backend.queue if queue is None else queue
        self.created_by, self.preflight = stored_user(created_by), preflight
        self.begin_block()

    def begin_block(self) -> None:
        """Set the time for the next block of messages, and discard the previous block's columns.

        The content of the next block must be checked again: the caller may have changed an object
        in the content, such as the dict `custom`.
        """
        self.now = timezone.now()
        self._content: _Content | None = None

    @property
    def sends_now(self) -> bool:
        """Whether the call itself sends its rows, before it returns."""
        if self.queue:
            return False
        return not (self.backend.delivers_on_commit and in_transaction(self.using))

    def row_of(self, sms: SMS) -> Message:
        """Return the unsaved row of a message. Raise InvalidSMS if the message is not valid."""
        columns = self._columns(sms)
        if self._has_listeners:
            return Message(**self.common | columns)
        # A copy of the attributes takes a tenth of the time of `Message()`.
        row = Message.__new__(Message)
        row.__dict__ = _defaults() | columns
        row._state = ModelState()
        for name, value in self.common.items():
            setattr(row, name, value)
        return row

    @cached_property
    def common(self) -> dict[str, Any]:
        """The columns that are the same in all rows of the call, including invalid messages."""
        return {
            "alias": self.backend.alias,
            "environment": self.backend.environment,
            "created_by": self.created_by,
        }

    def first_sweep(self) -> datetime:
        """Return the time from which `smsww_worker` can send the rows.

        This time is now if `queue` is True. Otherwise, it is a minute later, because the call or a
        task queue sends the rows first.
        """
        return self.now if self.queue is True else self.now + HOOK_GRACE

    def first_attempt(self, send_at: datetime | None, expires_at: datetime) -> datetime:
        """Return the value for `next_attempt_at`: the time from which workers may send the row.

        If the call itself sends the row, the value is `expires_at`. Workers send no expired rows,
        so they never send this one.
        """
        if self.sends_now and (send_at is None or send_at <= self.now):
            return expires_at  # see Note [Undue rows]
        return send_at or self.first_sweep()

    @cached_property
    def _has_listeners(self) -> bool:
        return pre_init.has_listeners(Message) or post_init.has_listeners(Message)

    def _columns(self, sms: SMS) -> dict[str, Any]:
        """Return the columns of a message.

        If successive messages have the same content, the content is checked and hashed only once.
        """
        content = self._content
        if content and self._has_plain_rules and content.is_of(sms):
            prepared = self._like(content.prepared, sms)
            check_names(prepared)
            self.backend.validate_recipient(prepared.recipient)
        else:
            prepared = self.backend.prepare(sms)
            self.backend.validate(prepared)
            columns = self._content_columns(prepared)
            self._content = content = _Content(_content_of(sms), prepared, columns)
        number = self.backend.redirected(prepared.recipient)
        sent = prepared.replace(recipient=number) if number else prepared
        return content.columns | {
            "reference": prepared.reference,
            "recipient": prepared.recipient,
            "key": prepared.key or None,
            "custom": dict(prepared.custom or {}),
            "route": self.backend.route_for(sent),
        }

    def _like(self, prepared: SMS, sms: SMS) -> SMS:
        """Return `sms` in the form that `backend.route_for()` needs.

        `prepared` is what `backend.prepare()` returned for an earlier SMS with the same content.
        """
        if not self._has_routes:
            return sms
        return prepared.replace(recipient=sms.recipient, reference=sms.reference, key=sms.key)

    @cached_property
    def _has_plain_rules(self) -> bool:
        """Whether the backend uses the validation rules of BaseSMSBackend unchanged.

        If so, the recipient can be checked separately from the other fields. A backend's own rule
        might need the recipient together with the other fields.
        """
        return not self._overrides("prepare", "validate", "validate_content")

    @cached_property
    def _has_routes(self) -> bool:
        return self._overrides("route_for")

    def _overrides(self, *names: str) -> bool:
        kind = type(self.backend)
        return any(getattr(kind, name) is not getattr(BaseSMSBackend, name) for name in names)

    def _content_columns(self, sms: SMS) -> dict[str, Any]:
        expires_at = self._expiry(sms)
        return {
            # Each field of an SMS has a column of its name.
            **{each.name: getattr(sms, each.name) for each in fields(SMS)},
            **text_columns(sms.body),
            "preflight": self.preflight,
            "next_attempt_at": self.first_attempt(sms.send_at, expires_at),
            "expires_at": expires_at,
            "created_at": self.now,
            "updated_at": self.now,
        }

    def _expiry(self, sms: SMS) -> datetime:
        if sms.expires_at:
            return sms.expires_at
        lifetime = SENSITIVE_LIFETIME if sms.sensitive else self.backend.expires_after
        return (sms.send_at or self.now) + lifetime


def text_columns(body: str) -> dict[str, Any]:
    count = count_segments(body)
    return {
        "body": body,
        "fingerprint": fingerprint(body),
        "encoding": count.encoding,
        "characters": count.characters,
        "segments": count.segments,
    }


def storable_columns(sms: SMS) -> dict[str, Any]:
    """Return the columns of an invalid message, with values that every database can store."""
    return {
        "key": _storable(sms.key, 255) or None,
        "recipient": _storable("" if sms.recipient is None else str(sms.recipient), 32),
        "sender": _storable(sms.sender, 32),
        "body": "" if sms.sensitive else _storable(sms.body),
        "scrubbed": bool(sms.sensitive),
        "sensitive": bool(sms.sensitive),
        "dry_run": sms.dry_run is True,
        "tag": _storable(sms.tag, 64),
    }


def _storable(value: object, limit: int | None = None) -> str:
    """Return the part of `value` that every database can store, cut after `limit` characters.

    Return "" if `value` is not a string.
    """
    if not isinstance(value, str):
        return ""
    clean = value.replace("\x00", "").encode(errors="ignore").decode()
    return clean[:limit]
