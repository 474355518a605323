"""The classes `SMS` (a message for a backend) and `SendResult` (the result of a backend)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, TypedDict
from uuid import UUID, uuid4

from .exceptions import SMSError

RESERVED_CUSTOM_KEY = "_smsww"
"""The key in a callback's custom data that holds the signed reference of the message."""


@dataclass(frozen=True, slots=True)
class SMS:
    """One message to one recipient. An alias sends the same SMS object only once.

    If `dry_run` or `fail_on_multiple_messages` is None, or `sender` is "", the backend's default is
    used. Without any sender, the telephone shows the provider's sender ("Openapi").

    Attributes:
        body: the text.
        recipient: the telephone number, which is converted to E.164 ("+393331234567").
        sender, key, custom, tag, sensitive, send_at, expires_at, priority: as for `send_sms`.
        batch: a UUID. Messages with the same UUID are one batch; None means no batch.
        reference: the id that this package gives the message. Callbacks contain this id.
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
        return replace(self, **changes)


class SMSOptions(TypedDict, total=False):
    """The types of the SMS fields that functions like `send_sms` take as keyword arguments."""

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
    """The provider's record of one message, as read from a response or from a callback.

    A field that is missing in the response or in the callback keeps its default. If `error` is set,
    the other fields come from the provider's refusal.

    Attributes:
        provider_id: the provider's id of the message, as a string; "" for a dry run.
        state: the state as the provider names it, even if this package does not know the state.
        encoding: "GSM-7" or "UCS-2".
        characters, segments: the provider's counts; you pay for each segment.
        country, prefix: the country and its telephone code, such as "IT" and "39".
        price, total_price: the prices of one segment and of all segments, in EUR. A price of 0 can
            mean "not known yet".
        recipient, sender, body: the provider's values, by which the message can be recognised.
        custom: the custom data of the request, if the provider returns it.
        error: why the message was not accepted.
        warning: an error that may stop other messages, although this message was accepted.
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
        # A provider's id may be a number. An id of the wrong type must not lose a paid message.
        if not isinstance(self.provider_id, str):
            text = "" if self.provider_id is None else str(self.provider_id)
            object.__setattr__(self, "provider_id", text)

    @property
    def stop(self) -> SMSError | None:
        """The error that decides whether other messages stop.

        If `warning` is set, this is `warning`. Otherwise, this is `error`, or None.
        """
        return self.warning or self.error

    def nameless(self) -> SendResult:
        return replace(self, provider_id="")
