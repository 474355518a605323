"""The base class of backends, with the options that all backends have."""

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
    """Send messages through a provider.

    To write a backend, subclass this class and define `send(sms)`. This method sends one message,
    and returns a SendResult or raises an SMSError. It raises SMSUnavailable only if the message was
    certainly not sent. If the message may have been sent, it raises SMSOutcomeUnknown.
    `send` must be thread-safe, must not use the database, and must not retry. If the provider
    offers look-ups, define `fetch` and `fetch_page` too. If the provider takes several messages in
    one request, define `send_messages` instead of `send`. The options of your backend are
    keyword-only arguments of `__init__`. Pass all other options to the base class::

        class SMSBackend(BaseSMSBackend):
            def __init__(self, *, gateway: str = "", **options: Any) -> None:
                super().__init__(**options)
                self.gateway = gateway

    `sms_backends[alias]` makes a new object each time, so `__init__` must be fast. Store an
    expensive object, such as a connection pool, in the module, or create it in `open()`.

    The arguments of `__init__` are the alias (a key of the SMSWW setting) and the options. The page
    Settings of the documentation (docs/settings.md) describes the options.

    Raises:
        InvalidSMSBackend: an option is unknown or has a value that cannot be used.
    """

    delivers_on_commit = True
    """True if the backend really sends. Then a message waits until the transaction commits."""

    supports_dry_run = False
    """Whether `send()` can check a message (with `dry_run=True`) without sending the message."""

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
        check_options(locals(), POLICY, _DEFAULTS, alias=alias)
        if max_per_country is not None:
            require_phonenumbers("max_per_country", alias=alias)
        self.alias, self.environment = alias or "", environment
        self.sender, self.dry_run = sender, dry_run
        self.fail_on_multiple_messages, self.max_segments = fail_on_multiple_messages, max_segments
        self.replace_characters, self.expires_after = replace_characters, _duration(expires_after)
        self.region = region_code(region, alias=alias)
        self.allowed_countries = country_codes(allowed_countries, alias=alias)
        self.allowed_recipients = phone_numbers(allowed_recipients, self.region, alias=alias)
        self.redirect_to = phone_number("redirect_to", redirect_to, self.region, alias=alias)
        self.max_segments_per_day, self.max_per_number = max_segments_per_day, max_per_number
        self.max_per_country, self.max_per_user = max_per_country, max_per_user
        self.queue, self.concurrency, self.rate_limit = queue, concurrency, per_second(rate_limit)

    def prepare(self, sms: SMS) -> SMS:
        """Return a copy of the message, with the alias's defaults and the number in E.164."""
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
        """Return the number in E.164. Return an invalid value as it is: `validate()` refuses it."""
        try:
            return read_number(recipient, self.region)
        except InvalidSMS:
            return as_text(recipient)

    def validate(self, sms: SMS) -> None:
        """Raise InvalidSMS if the message is not valid. The error says what to correct."""
        self.validate_content(sms)
        self.validate_recipient(sms.recipient)

    def validate_content(self, sms: SMS) -> None:
        """Raise InvalidSMS if any field except the recipient is invalid."""
        check_content(sms)
        check_segments(sms.body, MAX_SEGMENTS)
        if self.max_segments is not None:
            check_segments(sms.body, self.max_segments, "max_segments")
        if self.max_segments_per_day is not None and not sms.dry_run:
            check_segments(sms.body, self.max_segments_per_day, "max_segments_per_day")
        if self._is_single(sms):
            check_segments(sms.body, 1, "fail_on_multiple_messages")

    def validate_recipient(self, recipient: str) -> None:
        """Raise InvalidSMS if no message can be sent to this number."""
        read_number(recipient, self.region)
        if self.allowed_countries is not None:
            check_country(recipient, self.allowed_countries)
        self.check_recipient(recipient)

    def check_recipient(self, recipient: str) -> None:
        """Raise InvalidSMS for numbers not in `allowed_recipients`, unless `redirect_to` is set."""
        if self.allowed_recipients is not None and not self.redirect_to:
            check_allowed(recipient, self.allowed_recipients)

    def redirected(self, recipient: str) -> str | None:
        """Return the number `redirect_to` if it replaces this recipient, else None."""
        is_allowed = recipient in (self.allowed_recipients or ())
        return None if is_allowed or recipient == self.redirect_to else self.redirect_to or None

    @property
    def is_staging(self) -> bool:
        """Whether `allowed_recipients` or `redirect_to` is set."""
        return self.allowed_recipients is not None or bool(self.redirect_to)

    def route_for(self, sms: SMS) -> str:
        """Return the provider's route for the message, such as "IT"; "" if there are no routes."""
        return ""

    @property
    def rate_scope(self) -> str:
        """The name of the counter for `rate_limit`. Aliases with the same counter share a limit."""
        return self.alias

    def open(self) -> None:
        """Open resources that several messages share. `send()` must also work without `open()`."""

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
        """Send one prepared and validated message.

        Raises:
            SMSOutcomeUnknown: the message may have been sent.
            SMSError: the message was not accepted. The class of the error shows the reason.
        """
        raise NotImplementedError("A subclass of BaseSMSBackend must define send().")

    def fetch(self, provider_id: str) -> SendResult | None:
        """Return the provider's record of one message, or None if there is no such record."""
        raise NotImplementedError("This backend cannot look up a message.")

    def fetch_page(self, skip: int, limit: int) -> Sequence[SendResult]:
        """Return up to `limit` entries of the provider's list, after the first `skip` entries."""
        raise NotImplementedError("This backend cannot list messages.")

    @property
    def supports_fetch(self) -> bool:
        return type(self).fetch is not BaseSMSBackend.fetch

    @property
    def supports_fetch_page(self) -> bool:
        return type(self).fetch_page is not BaseSMSBackend.fetch_page

    def send_messages(
        self, messages: Sequence[SMS], *, deadline: float | None = None
    ) -> list[SendResult]:
        """Send prepared and validated messages, several at the same time.

        The results are in the order of the messages. If a message fails, its result has the
        error, and the other messages are still sent, except in two cases. After a message with
        forbidden content, no other message with the same text is sent, because each one can cost a
        penalty. After an error of the whole account, or a 429 response, no other message is sent.

        Args:
            deadline: a time on the clock `clock.elapsed()`. If a request has not begun by then,
                the message is not sent: its error is an SMSUnavailable with the code "not_started".
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
        """Send one message and return its result. An error is returned in the result, not raised.

        `stopped` is the set of texts that must not be sent any more. If the set contains the value
        None, no text is sent. After some errors, the method adds the text of this message, or
        None, to the set.
        """
        is_late = deadline is not None and elapsed() >= deadline
        if is_late or not stopped.isdisjoint((None, sms.body)):
            text = _("The request was not made; nothing was sent")
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
        """Log an unexpected exception of `send()`, and return an SMSOutcomeUnknown instead."""
        # The message may have been sent before the error. The error's text and its traceback may
        # hold the number, so only its class is logged.
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


_DEFAULTS: Any = BaseSMSBackend.__init__.__kwdefaults__


def stopped_by(error: SMSError | None, body: str) -> set[str | None]:
    """Return the set of texts that must not be sent after this error.

    If the set contains the value None, no text is sent.
    """
    if isinstance(error, ContentRefused):
        return {body}
    if isinstance(error, ACCOUNT_ERRORS):
        return {None}
    if isinstance(error, SMSUnavailable) and error.status == 429:
        return {None}
    return set()


def environment_of(callback_url: Any) -> str:
    """Return the default of `environment`: the host of the callback URL, or "" without a URL."""
    return _host_of(callback_url) if isinstance(callback_url, str) else ""


@lru_cache(maxsize=256)
def _host_of(callback_url: str) -> str:
    try:
        return (urlsplit(callback_url).hostname or "").encode("idna").decode()
    except ValueError:  # no URL, or no valid host
        return ""


def _duration(value: float | timedelta) -> timedelta:
    return value if isinstance(value, timedelta) else timedelta(seconds=value)
