"""The two values that cross the boundary of a backend: a message, and its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, TypedDict
from uuid import UUID, uuid4

from .exceptions import SMSError

RESERVED_CUSTOM_KEY = "_smsww"
"""The key in `callback.custom` that carries our reference and signature."""


@dataclass(frozen=True, slots=True)
class SMS:
    """One message to one recipient; the same object is sent once, however often you give it.

    `None` in `dry_run` and `fail_on_multiple_messages` stands for the backend's default, and an
    empty `sender` for the backend's sender, or else the provider's ("Openapi").

    Attributes:
        body: the text.
        recipient: a number; rows and backends get it in E.164: "+393331234567".
        sender: 3 to 11 letters, digits and spaces, not digits alone.
        key: your own idempotency key, unique per alias; "" for none.
        custom: JSON object that the provider returns with each callback.
        tag: a short label to group messages by.
        sensitive: delete the text as soon as it was sent or has failed.
        send_at, expires_at: aware datetimes; not sent before the one or after the other.
        priority: messages with a greater one leave first.
        batch: groups the messages of one mass send.
        reference: our own id of the message, which callbacks bring back.
    """

    body: str = field(repr=False)
    recipient: str = field(repr=False)
    sender: str = ""
    _: KW_ONLY
    dry_run: bool | None = None
    fail_on_multiple_messages: bool | None = None
    key: str = ""
    custom: Mapping[str, Any] | None = field(default=None, repr=False)
    tag: str = ""
    sensitive: bool = False
    send_at: datetime | None = None
    expires_at: datetime | None = None
    priority: int = 0
    batch: UUID | None = None
    reference: UUID = field(default_factory=uuid4)

    def replace(self, **changes: Any) -> SMS:
        """Return a copy with these fields changed."""
        return replace(self, **changes)


class SMSOptions(TypedDict, total=False):
    """The fields of SMS that `send_sms` and the others take by name, for type checkers."""

    dry_run: bool | None
    fail_on_multiple_messages: bool | None
    key: str
    custom: Mapping[str, Any] | None
    tag: str
    sensitive: bool
    send_at: datetime | None
    expires_at: datetime | None
    priority: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SendResult:
    """The provider's record of one message, from the answer to a send, a look-up or a callback.

    A field is None (or "") where the provider said nothing. With `error` set nothing else counts,
    except the facts that came along with a refusal.

    Attributes:
        provider_id: the provider's id; "" for a dry run. A number is kept as its text.
        state: the provider's word, kept as it came; not always one that we know.
        encoding: "GSM-7" or "UCS-2".
        characters, segments: the provider's counts; you pay for each segment.
        country, prefix: "IT", "39".
        price, total_price: EUR for one segment and for all; zero while the price is unknown.
        recipient, sender, body: as the provider has them, to recognise a message by.
        custom: the object that we sent in `callback.custom`, if the provider returns it.
        error: why the message was not accepted.
        warning: the message was accepted, but others must wait as they would after this error.
    """

    provider_id: str = ""
    state: str = ""
    encoding: str = ""
    characters: int | None = None
    segments: int | None = None
    country: str = ""
    prefix: str = ""
    price: Decimal | None = None
    total_price: Decimal | None = None
    blocklisted: bool = False
    blocklisted_reason: str = field(default="", repr=False)
    created_at: datetime | None = None
    updated_at: datetime | None = None
    sent_at: datetime | None = None
    delivered_at: datetime | None = None
    recipient: str = field(default="", repr=False)
    sender: str = ""
    body: str = field(default="", repr=False)
    custom: Mapping[str, Any] = field(default_factory=dict, repr=False)
    error: SMSError | None = None
    warning: SMSError | None = None

    def __post_init__(self) -> None:
        # A provider may number its messages; an id of the wrong type must not lose a paid one.
        if not isinstance(self.provider_id, str):
            text = "" if self.provider_id is None else str(self.provider_id)
            object.__setattr__(self, "provider_id", text)

    @property
    def stop(self) -> SMSError | None:
        """The error after which others may have to wait."""
        return self.warning or self.error

    def nameless(self) -> SendResult:
        """Return a copy without the provider's id."""
        return replace(self, provider_id="")
