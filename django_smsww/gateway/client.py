"""The endpoints of the messages host (specification 1.2.7)."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from ..exceptions import (
    ContentRefused,
    InvalidSMS,
    SMSError,
    SMSOutcomeUnknown,
    SMSUnavailable,
)
from ..sms import SMS, SendResult
from .account import Account, Token
from .echo import answers_for
from .errors import CONTENT_CODES
from .host import NAMED_HOSTS, Host, account_url, messages_url, parse, unreadable
from .http import ExchangeError, RawRequest, RawResponse
from .payload import is_message, read_message, unwrap_list

logger = logging.getLogger("django_smsww.client")

ROUTES = ("WW", "IT", "ES")
"""The endpoints that send: worldwide, Italy and Spain."""

_TOKEN_PAGE = 100
_TOKEN_PAGES = 10


class Client:
    """A client of the gateway. It is cheap to make, and threads may share it.

    `host` is "production", "sandbox" or a URL; `timeouts` are two numbers of seconds, to connect
    and for the whole exchange. Only `account` needs the account's e-mail and API key.

    Raises:
        ValueError: the token or the host cannot be used.
    """

    def __init__(
        self,
        token: str,
        *,
        host: str = "production",
        timeouts: tuple[float, float] = (5.0, 30.0),
        account_email: str = "",
        api_key: str = "",
    ) -> None:
        url = messages_url(host)
        self._host = Host(url, f"Bearer {normalise_token(token)}", timeouts)
        self.account = Account(account_url(url), account_email, api_key, timeouts=timeouts)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._host.url}>"

    @property
    def url(self) -> str:
        """The URL of the messages host."""
        return self._host.url

    @property
    def name(self) -> str:
        """A digest that tells this host and token apart from others, and hides the token."""
        return self._host.name

    def token_record(self) -> Token | None:
        """Return the account's record of the token in use, or None if it does not list it.

        Raises:
            ValueError, SMSError: as the methods of `account` do.
        """
        for page in range(_TOKEN_PAGES):
            tokens = self.account.tokens(skip=page * _TOKEN_PAGE, limit=_TOKEN_PAGE)
            for token in tokens:
                if self._host.bears(f"Bearer {token.token}"):
                    return token
            if len(tokens) < _TOKEN_PAGE:
                break
        return None

    def send(self, route: str, sms: SMS, callback: Mapping[str, Any] | None = None) -> SendResult:
        """Send one message, once.

        If the gateway accepts a message and marks it as blocklisted, it counts as accepted.

        Raises:
            SMSOutcomeUnknown: it may have been sent.
            SMSError: of any other class; it certainly was not sent.
        """
        path = f"/{route}-messages"
        request = self._request(path, sms, callback)
        try:
            response = self._host.ask(request, f"POST {path}", sms.reference)
        except ExchangeError as exc:
            kind = SMSOutcomeUnknown if exc.written else SMSUnavailable
            raise kind(detail=str(exc)) from exc
        private = (sms.recipient, sms.body)
        if not 200 <= response.status < 300:
            raise self._host.error(response, private=private)
        result = _accepted(response, sms)
        if result is None:
            return _odd(self._host.error(response, private=private))
        if result.blocklisted:
            result = self._marked(result, sms, response.status)
        # The id that comes back for a dry run names no message.
        return result.nameless() if sms.dry_run else result

    def fetch(self, provider_id: str) -> SendResult | None:
        """Return the gateway's record of one message, or None if it has no such message.

        Raises:
            SMSError: SMSUnavailable where it gave no usable answer.
        """
        name = quote(provider_id, safe="")
        if not name.strip("."):
            raise ValueError("provider_id is empty")
        payload = self._host.read(f"/messages/{name}", label="GET /messages/{id}")
        if payload is None:
            return None
        result = read_message(payload)
        del payload  # the frame that raises must not hold it
        if result.provider_id != provider_id:  # another message
            raise unreadable()
        return result

    def fetch_page(self, skip: int = 0, limit: int = 100) -> list[SendResult]:
        """Return a page of the account's messages. No document states their order.

        Pages move while messages arrive: take each provider id once.

        Raises:
            SMSError: SMSUnavailable where the gateway gave no usable answer.
        """
        messages = unwrap_list(self._host.read("/messages", {"skip": skip, "limit": limit}))
        if messages is None:  # an empty list is a 404, too
            return []
        if not isinstance(messages, list):
            del messages  # as above
            raise unreadable()
        return [read_message(message) for message in messages]

    def _marked(self, result: SendResult, sms: SMS, status: int) -> SendResult:
        """Return the result of a message that was accepted with the mark `blocklisted`.

        The specification's own example of an accepted message has the mark, and so has each answer
        of a mock server that is generated from it. Only the production host can fine. So only there
        the mark holds other messages of the same text back, and fails a dry run.
        """
        logger.warning("Message %s was accepted, and is marked as blocklisted", sms.reference)
        if self.url != NAMED_HOSTS["production"]:
            return result
        forbidden = ContentRefused(status=status)
        if sms.dry_run or not result.provider_id:
            return replace(result, error=forbidden)
        return replace(result, warning=forbidden)

    def _request(self, path: str, sms: SMS, callback: Mapping[str, Any] | None) -> RawRequest:
        try:
            return self._host.request("POST", path, _message(sms, callback))
        except (TypeError, ValueError):
            pass
        # Raised outside of the handler, so that no content is in its context.
        raise InvalidSMS("The message holds what JSON cannot express")


def _message(sms: SMS, callback: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the request's body, without empty values, for the gateway refuses null."""
    options = {
        "dryRun": sms.dry_run,
        "failOnMultipleMessages": sms.fail_on_multiple_messages,
    }
    values = {
        "recipient": sms.recipient,
        "message": sms.body,
        "sender": sms.sender,
        "options": {name: True for name, value in options.items() if value},
        "callback": dict(callback or {}),
    }
    return {name: value for name, value in values.items() if value}


def _accepted(response: RawResponse, sms: SMS) -> SendResult | None:
    """Return the result of a successful response, or None if there is no message in it."""
    result, is_ours = _result(response, sms)
    if result is None or is_ours:
        return result
    # Its id and its prices are those of another message, whether or not ours was sent.
    logger.error("The answer to message %s may belong to another message", sms.reference)
    raise SMSOutcomeUnknown(status=response.status, detail="It may belong to another message")


def _odd(error: SMSError) -> SendResult:
    """Raise the error of a success without a message, unless it tells of forbidden content."""
    if error.code not in CONTENT_CODES:
        raise error
    # The message may have been sent and fined, and so may the next one with this text.
    return SendResult(error=error, warning=ContentRefused(code=error.code, status=error.status))


def _result(response: RawResponse, sms: SMS) -> tuple[SendResult | None, bool]:
    """Return the message in this response, and whether it is the one that was sent.

    It is a separate function, since the frame that raises must not hold the payload.
    """
    payload = parse(response)
    if not is_message(payload):
        return None, False
    is_ours = answers_for(payload, sms.reference, sms.recipient)
    return read_message(payload), response.is_sole if is_ours is None else is_ours


def normalise_token(token: str) -> str:
    """Return the token without a pasted "Bearer " and white space.

    Raises:
        ValueError: there is no token in it.
    """
    bare = re.sub(r"\A\s*(bearer\s+)?", "", token, flags=re.IGNORECASE).strip()
    if not re.fullmatch(r"[!-~]+", bare) or bare.lower() == "bearer":
        raise ValueError("The token is empty, or holds characters that no token has.")
    return bare
