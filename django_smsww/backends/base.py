"""The contract of a backend, and the policy that holds in every one of them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from django.utils.translation.trans_null import gettext_noop as _

from ..clock import elapsed
from ..exceptions import (
    AccountBlocklisted,
    ContentRefused,
    InsufficientCredit,
    InvalidToken,
    SMSError,
    SMSOutcomeUnknown,
    SMSUnavailable,
)
from ..segments import MAX_SEGMENTS, replace_characters
from ..sms import SMS, SendResult
from .options import (
    POLICY,
    Limit,
    check_options,
    country_codes,
    per_second,
    per_window,
    refuse_unknown,
    require_phonenumbers,
)
from .validation import check_content, check_country, check_recipient, check_segments

logger = logging.getLogger("django_smsww.backends")


class BaseSMSBackend:
    """Hand messages to somebody who delivers them.

    To write a backend, subclass this one and define `send(sms)`: hand over one message, return
    what the provider says of it, or raise the SMSError that says what became of it
    (SMSUnavailable only where it certainly was not sent; when in doubt SMSOutcomeUnknown). It
    runs in several threads at once, without the database, and never tries a second time. A
    provider that can be asked later gets `fetch` and `fetch_page` too. Options of its own are
    keyword-only arguments of `__init__`, which passes the rest on:

        class SMSBackend(BaseSMSBackend):
            def __init__(self, *, gateway: str = "", **options: Any) -> None:
                super().__init__(**options)
                self.gateway = gateway

    An object is cheap and short-lived, one for each look-up; what is dear to open (a connection
    pool) is kept by the module, or opened in `open()`.

    Whoever can hand over many messages with one request defines `send_messages` instead.

    Args:
        alias: the key in the SMSWW setting.
        sender: the sender of messages that name none; "" leaves it to the provider.
        dry_run: have messages checked and priced, and not sent.
        fail_on_multiple_messages: refuse a text that needs more than one segment.
        max_segments: refuse a text that needs more; never more than 255.
        allowed_countries: ISO 3166 codes; numbers of other countries are refused.
        max_segments_per_day: how many leave on one day of the project's TIME_ZONE; those that are
            queued wait for the next day, the others are refused with SMSLimited.
        max_per_number, max_per_country, max_per_user: (count, seconds), at most so many messages
            in each window of so many seconds, against fraudsters who make a form send to numbers
            that they earn from; past it, SMSLimited. The user is the `created_by` of a message.
        replace_characters: write plain punctuation where that saves a text from UCS-2.
        queue: leave the sending to a worker: True, or the dotted path of a queue.
        concurrency: how many messages are on their way at once.
        rate_limit: how many requests begin in a second ("100/s") or a minute ("10000/m"), evenly
            spread, by all processes and hosts with this database and account together.
        environment: the label of this deployment, kept on every row.
        expires_after: seconds (or a timedelta) after which an unsent message is given up.

    Raises:
        InvalidSMSBackend: an option is unknown or has a value that cannot be used.
    """

    delivers_on_commit = True
    """Whether messages leave the process, and so must wait for the transaction to commit."""

    supports_dry_run = False
    """Whether `send()` sends nothing where `sms.dry_run` is True, but finds out what would be
    refused. Only then a mass send can be tried with one dry run before it leaves."""

    def __init__(
        self,
        *,
        alias: str | None = None,
        sender: str = "",
        dry_run: bool = False,
        fail_on_multiple_messages: bool = False,
        max_segments: int | None = None,
        allowed_countries: Iterable[str] | None = None,
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
        self.allowed_countries = country_codes(allowed_countries, alias=alias)
        self.max_segments_per_day = max_segments_per_day
        self.max_per_number = per_window(max_per_number)
        self.max_per_country = per_window(max_per_country)
        self.max_per_user = per_window(max_per_user)
        if max_per_country is not None:
            require_phonenumbers("max_per_country", alias=alias)
        self.replace_characters = replace_characters
        self.queue = queue
        self.concurrency = concurrency
        self.rate_limit = per_second(rate_limit)
        self.environment = environment
        self.expires_after = _duration(expires_after)

    def prepare(self, sms: SMS) -> SMS:
        """Return the message as it will leave: with the defaults and the policy of this alias."""
        body = sms.body
        # What is no string is for validate() to refuse.
        if self.replace_characters and isinstance(body, str):
            body = replace_characters(body)
        return sms.replace(
            body=body,
            sender=sms.sender or self.sender,
            dry_run=self.dry_run if sms.dry_run is None else sms.dry_run,
            fail_on_multiple_messages=self._is_single(sms),
        )

    def validate(self, sms: SMS) -> None:
        """Raise InvalidSMS, with a text that says what to write, unless this could be sent."""
        self.validate_content(sms)
        check_recipient(sms.recipient)
        if self.allowed_countries is not None:
            check_country(sms.recipient, self.allowed_countries)

    def validate_content(self, sms: SMS) -> None:
        """Raise InvalidSMS unless this could be sent to somebody, whoever that is."""
        check_content(sms)
        check_segments(sms.body, MAX_SEGMENTS)
        if self.max_segments is not None:
            check_segments(sms.body, self.max_segments, "max_segments")
        if self.max_segments_per_day is not None and not sms.dry_run:
            check_segments(sms.body, self.max_segments_per_day, "max_segments_per_day")
        if self._is_single(sms):
            check_segments(sms.body, 1, "fail_on_multiple_messages")

    def route_for(self, sms: SMS) -> str:
        """Return the provider's route that the message takes; "" where there is but one."""
        return ""

    @property
    def rate_scope(self) -> str:
        """What a `rate_limit` is counted for. Aliases of one account at a provider share it."""
        return self.alias

    def open(self) -> None:
        """Make ready what several messages share. `send()` works without it all the same."""

    def close(self) -> None:
        """Give back what `open()` has taken."""

    def __enter__(self) -> Self:
        try:
            self.open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def send(self, sms: SMS) -> SendResult:
        """Hand over one prepared and validated message.

        Raises:
            SMSError: it was not accepted, or nobody knows; the class says which.
        """
        raise NotImplementedError("A subclass of BaseSMSBackend must define send().")

    def fetch(self, provider_id: str) -> SendResult | None:
        """Return what the provider says of one message by now, or None if it has no such one."""
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

        The results stand in the order of the messages, and what was raised is in their `error`:
        one that fails does not keep the others back. But after forbidden content no other message
        of the same text is started, for each may cost a fine; and after what concerns the whole
        account, none at all.

        Args:
            deadline: a time of `stopwatch.elapsed()`; what has not started by then stays unsent.
                The error of a message that was not started is an SMSUnavailable with the code
                "not_started".
        """
        attempt = partial(self.attempt, deadline=deadline, stopped=set())
        if len(messages) < 2:
            return [attempt(sms) for sms in messages]
        with ThreadPoolExecutor(
            min(self.concurrency, len(messages)), thread_name_prefix="smsww"
        ) as threads:
            # Where KeyboardInterrupt ends the list, those that have not started are cancelled.
            return list(threads.map(attempt, messages))

    def attempt(self, sms: SMS, deadline: float | None, stopped: set[str | None]) -> SendResult:
        """Hand over one message of several, unless it must not be started any more.

        Args:
            stopped: the texts of which none is started; None among them stands for all. What
                comes of this message adds to it.
        """
        is_late = deadline is not None and elapsed() >= deadline
        if is_late or not stopped.isdisjoint((None, sms.body)):
            text = _("The message was not started; nothing was sent")
            return SendResult(error=SMSUnavailable(text, code="not_started"))
        result = self._result(sms)
        stopped |= stopped_by(result.error, sms.body)
        return result

    def _result(self, sms: SMS) -> SendResult:
        try:
            result = self.send(sms)
            if not isinstance(result, SendResult):
                raise TypeError("send() must return a SendResult.")
            return result
        except SMSError as error:
            return SendResult(error=error)
        except Exception as error:
            # It may have happened after the message left, so nothing is certain. The text and
            # the traceback may hold the number, so the class has to do.
            kind = type(error).__name__
            fields = {"reference": sms.reference, "alias": self.alias}
            logger.error(
                "Backend %r failed on message %s: %s",
                self.alias,
                sms.reference,
                kind,
                extra=fields,
            )
            return SendResult(error=SMSOutcomeUnknown(detail=kind))

    def _is_single(self, sms: SMS) -> bool:
        if sms.fail_on_multiple_messages is None:
            return self.fail_on_multiple_messages
        return sms.fail_on_multiple_messages


def stopped_by(error: SMSError | None, body: str) -> set[str | None]:
    """Return the texts of which none may be sent after this error; None stands for all texts."""
    if isinstance(error, ContentRefused):
        return {body}
    if isinstance(error, AccountBlocklisted | InvalidToken | InsufficientCredit):
        return {None}
    if isinstance(error, SMSUnavailable) and error.status == 429:
        return {None}
    return set()


def environment_of(callback_url: Any) -> str:
    """Return the host of a callback URL: what an environment is called if nobody names it."""
    if not isinstance(callback_url, str):
        return ""
    try:
        return (urlsplit(callback_url).hostname or "").encode("idna").decode()
    except ValueError:  # no URL, or no host that could be called
        return ""


def _duration(value: float | timedelta) -> timedelta:
    return value if isinstance(value, timedelta) else timedelta(seconds=value)
