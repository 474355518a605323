"""The contract of a backend, and the policy of all of them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import lru_cache, partial
from typing import Any, Self
from urllib.parse import urlsplit

from django.utils.translation.trans_null import gettext_noop as _

from ..clock import elapsed
from ..exceptions import (
    ACCOUNT_ERRORS,
    ContentRefused,
    InvalidSMS,
    SMSError,
    SMSOutcomeUnknown,
    SMSUnavailable,
)
from ..numbers import Recipient, as_text, read_number
from ..segments import MAX_SEGMENTS, replace_characters
from ..sms import SMS, SendResult
from .options import (
    POLICY,
    Limit,
    check_options,
    country_codes,
    per_second,
    phone_number,
    phone_numbers,
    refuse_unknown,
    region_code,
    require_phonenumbers,
)
from .validation import check_allowed, check_content, check_country, check_segments

logger = logging.getLogger("django_smsww.backends")


class BaseSMSBackend:
    """Hand messages over to a provider.

    To write a backend, subclass this one and define `send(sms)`: hand over one message, and return
    the provider's answer or raise an SMSError (SMSUnavailable only if the message was certainly
    not sent; when in doubt SMSOutcomeUnknown). `send` must be thread-safe, must not use the
    database, and must not retry. If the provider offers look-ups, define `fetch` and `fetch_page`
    too. If the provider takes several messages in one request, define `send_messages` instead.
    The backend's own options are keyword-only arguments of `__init__`, which passes the rest on::

        class SMSBackend(BaseSMSBackend):
            def __init__(self, *, gateway: str = "", **options: Any) -> None:
                super().__init__(**options)
                self.gateway = gateway

    `sms_backends[alias]` makes a new object each time, so `__init__` must be cheap. Keep a
    connection pool or the like in the module, or open it in `open()`.

    Args:
        alias: the key in the SMSWW setting.
        sender: the sender of messages that name none; "" leaves it to the provider.
        dry_run: let the provider check and price messages, and send none.
        fail_on_multiple_messages: refuse a text that needs more than one segment.
        max_segments: refuse a text that needs more; never more than 255.
        region: the ISO 3166 code of the country of national numbers; "" refuses them.
        allowed_countries: ISO 3166 codes; numbers of other countries are refused.
        allowed_recipients: the only numbers that get their messages; others are refused, or
            redirected. For staging.
        redirect_to: the number that gets the messages to all others. Their rows keep the original
            recipient, to which the do-not-send list, limits and keys apply. For staging.
        max_segments_per_day: how many leave on one day of the project's TIME_ZONE. Queued messages
            wait for the next day, the others are refused with SMSLimited.
        max_per_number, max_per_country, max_per_user: (count, seconds): at most `count` messages in
            each window of `seconds`; more raise SMSLimited. They stop fraudsters who make a form
            send to numbers that earn them money. The user is the message's `created_by`.
        replace_characters: write plain punctuation where that saves a text from UCS-2.
        queue: leave the sending to a worker: True, or the dotted path of a queue.
        concurrency: how many messages are sent at the same time.
        rate_limit: how many requests begin in a second ("100/s") or a minute ("10000/m"), evenly
            spread, by all processes and hosts with this database and account together.
        environment: the label of this deployment, stored on every row.
        expires_after: seconds (or a timedelta) after which an unsent message expires.

    Raises:
        InvalidSMSBackend: an option is unknown or has a value that cannot be used.
    """

    delivers_on_commit = True
    """Whether messages leave the process, and so must wait for the transaction to commit."""

    supports_dry_run = False
    """Whether `send()` only checks a message whose `dry_run` is True. A mass send needs this for
    its preflight."""

    def __init__(
        self,
        *,
        alias: str | None = None,
        sender: str = "",
        dry_run: bool = False,
        fail_on_multiple_messages: bool = False,
        max_segments: int | None = None,
        region: str = "",
        allowed_countries: Iterable[str] | None = None,
        allowed_recipients: Iterable[Recipient] | None = None,
        redirect_to: Recipient = "",
        max_segments_per_day: int | None = None,
        max_per_number: Limit | None = None,
        max_per_country: Limit | None = None,
        max_per_user: Limit | None = None,
        replace_characters: bool = False,
        queue: bool | str = False,
        concurrency: int = 16,
        rate_limit: str | None = None,
        environment: str = "",
        expires_after: float | timedelta = 86400,
        **unknown: Any,
    ) -> None:
        refuse_unknown(unknown, type(self), alias=alias)
        check_options(locals(), POLICY, alias=alias)
        self.alias = alias or ""
        self.sender = sender
        self.dry_run = dry_run
        self.fail_on_multiple_messages = fail_on_multiple_messages
        self.max_segments = max_segments
        self.region = region_code(region, alias=alias)
        self.allowed_countries = country_codes(allowed_countries, alias=alias)
        self.allowed_recipients = phone_numbers(allowed_recipients, self.region, alias=alias)
        self.redirect_to = phone_number("redirect_to", redirect_to, self.region, alias=alias)
        self.max_segments_per_day = max_segments_per_day
        self.max_per_number = max_per_number
        self.max_per_country = max_per_country
        self.max_per_user = max_per_user
        if max_per_country is not None:
            require_phonenumbers("max_per_country", alias=alias)
        self.replace_characters = replace_characters
        self.queue = queue
        self.concurrency = concurrency
        self.rate_limit = per_second(rate_limit)
        self.environment = environment
        self.expires_after = _duration(expires_after)

    def prepare(self, sms: SMS) -> SMS:
        """Return the message with the defaults and the policy of this alias."""
        body = sms.body
        if self.replace_characters and isinstance(body, str):  # else validate() refuses it
            body = replace_characters(body)
        return sms.replace(
            body=body,
            recipient=self.read_recipient(sms.recipient),
            sender=sms.sender or self.sender,
            dry_run=self.dry_run if sms.dry_run is None else sms.dry_run,
            fail_on_multiple_messages=self._is_single(sms),
        )

    def read_recipient(self, recipient: Any) -> Any:
        """Return the number in E.164, or an invalid value as it came, which validate() refuses."""
        try:
            return read_number(recipient, self.region)
        except InvalidSMS:
            return as_text(recipient)

    def validate(self, sms: SMS) -> None:
        """Raise InvalidSMS unless the message could be sent; its text says what to write."""
        self.validate_content(sms)
        self.validate_recipient(sms.recipient)

    def validate_content(self, sms: SMS) -> None:
        """Raise InvalidSMS unless every field but the recipient is valid."""
        check_content(sms)
        check_segments(sms.body, MAX_SEGMENTS)
        if self.max_segments is not None:
            check_segments(sms.body, self.max_segments, "max_segments")
        if self.max_segments_per_day is not None and not sms.dry_run:
            check_segments(sms.body, self.max_segments_per_day, "max_segments_per_day")
        if self._is_single(sms):
            check_segments(sms.body, 1, "fail_on_multiple_messages")

    def validate_recipient(self, recipient: str) -> None:
        """Raise InvalidSMS unless messages could be sent to this number."""
        read_number(recipient, self.region)
        if self.allowed_countries is not None:
            check_country(recipient, self.allowed_countries)
        self.check_recipient(recipient)

    def check_recipient(self, recipient: str) -> None:
        """Raise InvalidSMS if the number is not allowed and its messages are not redirected."""
        if self.allowed_recipients is not None and not self.redirect_to:
            check_allowed(recipient, self.allowed_recipients)

    def redirected(self, recipient: str) -> str | None:
        """Return the number that gets this recipient's messages in its place, or None."""
        is_allowed = recipient in (self.allowed_recipients or ())
        return None if is_allowed or recipient == self.redirect_to else self.redirect_to or None

    @property
    def is_staging(self) -> bool:
        """Whether some numbers do not get their messages."""
        return self.allowed_recipients is not None or bool(self.redirect_to)

    def route_for(self, sms: SMS) -> str:
        """Return the provider's route for the message; "" if there is only one."""
        return ""

    @property
    def rate_scope(self) -> str:
        """The name under which `rate_limit` counts. Aliases of one provider account share it."""
        return self.alias

    def open(self) -> None:
        """Open the resources that several messages share. `send()` works without it, too."""

    def close(self) -> None:
        """Close the resources that `open()` opened."""

    def __enter__(self) -> Self:
        try:
            self.open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def send(self, sms: SMS) -> SendResult:
        """Hand over one prepared and validated message.

        Raises:
            SMSError: it was not accepted, or the outcome is unknown; the class says which.
        """
        raise NotImplementedError("A subclass of BaseSMSBackend must define send().")

    def fetch(self, provider_id: str) -> SendResult | None:
        """Return the provider's record of one message, or None if it has no such message."""
        raise NotImplementedError("This backend cannot look up a message.")

    def fetch_page(self, skip: int, limit: int) -> Sequence[SendResult]:
        """Return a page of the provider's list of messages."""
        raise NotImplementedError("This backend cannot list messages.")

    @property
    def supports_fetch(self) -> bool:
        """Whether one message can be looked up."""
        return type(self).fetch is not BaseSMSBackend.fetch

    @property
    def supports_fetch_page(self) -> bool:
        """Whether the provider's list of messages can be read."""
        return type(self).fetch_page is not BaseSMSBackend.fetch_page

    def send_messages(
        self, messages: Sequence[SMS], *, deadline: float | None = None
    ) -> list[SendResult]:
        """Hand over prepared and validated messages, several at once.

        The results are in the order of the messages, each with its `error`. A failed message does
        not stop the others. But after forbidden content no other message of the same text is
        started, since each may cost a fine; and after an error of the whole account, none at all.

        Args:
            deadline: a time of `clock.elapsed()`. Messages that have not started by then stay
                unsent: their error is an SMSUnavailable with the code "not_started".
        """
        attempt = partial(self.attempt, deadline=deadline, stopped=set())
        if len(messages) < 2:
            return [attempt(sms) for sms in messages]
        with ThreadPoolExecutor(
            min(self.concurrency, len(messages)), thread_name_prefix="smsww"
        ) as threads:
            # If KeyboardInterrupt ends the list, messages that have not started are cancelled.
            return list(threads.map(attempt, messages))

    def attempt(self, sms: SMS, deadline: float | None, stopped: set[str | None]) -> SendResult:
        """Send one message of several, and return its result with any error in it.

        Args:
            stopped: the texts that must not be sent any more; None in it means all texts. If this
                message's error stops texts, they are added.
        """
        is_late = deadline is not None and elapsed() >= deadline
        if is_late or not stopped.isdisjoint((None, sms.body)):
            text = _("The message was not started; nothing was sent")
            return SendResult(error=SMSUnavailable(text, code="not_started"))
        try:
            result = self.send(sms)
            if not isinstance(result, SendResult):
                raise TypeError("send() must return a SendResult.")
        except SMSError as error:
            result = SendResult(error=error)
        except Exception as error:
            result = SendResult(error=self._unknown(sms, type(error).__name__))
        stopped |= stopped_by(result.stop, sms.body)
        return result

    def _unknown(self, sms: SMS, kind: str) -> SMSOutcomeUnknown:
        """Log an error that is no SMSError, and return the error for the row."""
        # It may have happened after the message left, so nothing is certain. Its text and its
        # traceback may hold the number, so the log gets its class alone.
        logger.error(
            "Backend %r failed on message %s: %s",
            self.alias,
            sms.reference,
            kind,
            extra={"reference": sms.reference, "alias": self.alias},
        )
        return SMSOutcomeUnknown(detail=kind)

    def _is_single(self, sms: SMS) -> bool:
        if sms.fail_on_multiple_messages is None:
            return self.fail_on_multiple_messages
        return sms.fail_on_multiple_messages


def stopped_by(error: SMSError | None, body: str) -> set[str | None]:
    """Return the texts that must not be sent after this error; None stands for all texts."""
    if isinstance(error, ContentRefused):
        return {body}
    if isinstance(error, ACCOUNT_ERRORS):
        return {None}
    if isinstance(error, SMSUnavailable) and error.status == 429:
        return {None}
    return set()


def environment_of(callback_url: Any) -> str:
    """Return the host of a callback URL, which names the environment by default."""
    return _host_of(callback_url) if isinstance(callback_url, str) else ""


@lru_cache(maxsize=256)
def _host_of(callback_url: str) -> str:
    try:
        return (urlsplit(callback_url).hostname or "").encode("idna").decode()
    except ValueError:  # no URL, or no host that could be called
        return ""


def _duration(value: float | timedelta) -> timedelta:
    return value if isinstance(value, timedelta) else timedelta(seconds=value)
