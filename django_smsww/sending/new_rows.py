"""The unsaved rows of new messages."""

from __future__ import annotations

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
from ..models import Message
from ..models.commit import in_transaction
from ..models.fields import stored_user
from ..sms import SMS
from .storable import text_columns

SENSITIVE_LIFETIME = timedelta(minutes=10)
HOOK_GRACE = timedelta(minutes=1)
"""How long `smsww_worker` leaves a row to the call or hook that is about to send it."""

_NAMES = {"recipient", "key", "reference"}
_content_of = attrgetter(*(each.name for each in fields(SMS) if each.name not in _NAMES))


class _Content(NamedTuple):
    """The fields that messages share, and the columns that were made of them."""

    values: tuple[Any, ...]
    prepared: SMS
    columns: dict[str, Any]

    def is_of(self, sms: SMS) -> bool:
        """Whether the message has the same objects. Equal ones may not be valid: 1 == True."""
        return all(map(is_, self.values, _content_of(sms)))


@cache
def _defaults() -> dict[str, Any]:
    """Return the attributes of a row without values; what a function computes is not in use."""
    return vars(Message())


class RowMaker:
    """Makes the rows of one send call: it knows the backend, the user and the queue."""

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
        """Drop the columns that were made of the last message's content.

        Its times are valid for one block, and the caller may change its objects.
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
        """Return the unsaved row of a new message.

        Raises:
            InvalidSMS: the message is not valid.
        """
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
        """The columns that are equal in all rows of the call, valid or not."""
        return {
            "alias": self.backend.alias,
            "environment": self.backend.environment,
            "created_by": self.created_by,
        }

    def first_sweep(self) -> datetime:
        """Return when `smsww_worker` may send a row, if a hook has not done so."""
        return self.now if self.queue is True else self.now + HOOK_GRACE

    def first_attempt(self, send_at: datetime | None, expires_at: datetime) -> datetime:
        """Return when `smsww_worker` may send a row that this call does not send."""
        if self.sends_now and (send_at is None or send_at <= self.now):
            return expires_at  # see Note [Undue rows]
        return send_at or self.first_sweep()

    @cached_property
    def _has_listeners(self) -> bool:
        return pre_init.has_listeners(Message) or post_init.has_listeners(Message)

    def _columns(self, sms: SMS) -> dict[str, Any]:
        """Return the columns of a message. A text that many share is checked and hashed once."""
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
        return content.columns | {
            "reference": prepared.reference,
            "recipient": prepared.recipient,
            "key": prepared.key or None,
            "custom": dict(prepared.custom or {}),
            "route": self.backend.route_for(self._redirected(prepared)),
        }

    def _redirected(self, sms: SMS) -> SMS:
        number = self.backend.redirected(sms.recipient)
        return sms.replace(recipient=number) if number else sms

    def _like(self, prepared: SMS, sms: SMS) -> SMS:
        """Return the message as `prepare()` would, but only what the row and the route need."""
        if not self._has_routes:
            return sms
        return prepared.replace(recipient=sms.recipient, reference=sms.reference, key=sms.key)

    @cached_property
    def _has_plain_rules(self) -> bool:
        """Whether the backend has no rules of its own, which may look at all fields at once."""
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
