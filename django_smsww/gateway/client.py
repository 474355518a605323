"""The client for the gateway's messages host (API specification 1.2.7)."""

import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from ..exceptions import ContentRefused, InvalidSMS, SMSError, SMSOutcomeUnknown, SMSUnavailable
from ..sms import SMS, SendResult
from .account import Account, Token
from .echo import answers_for
from .errors import CONTENT_CODES
from .host import NAMED_HOSTS, Host, account_url, messages_url, parse, unreadable
from .http import ExchangeError, RawRequest, RawResponse
from .payload import is_message, read_message, unwrap_list

logger = logging.getLogger("django_smsww.client")

ROUTES = ("WW", "IT", "ES")
"""The routes for messages: worldwide, Italy and Spain. Each route has its own endpoint."""

_TOKEN_PAGE = 100
_TOKEN_PAGES = 10


class Client:
    """A client of the gateway. A client is cheap to make, and threads may share it.

    `host` is "production", "sandbox" or a URL. `timeouts` are the seconds to connect, and the
    seconds for the whole exchange. Only requests to the account host need `account_email` and
    `api_key`. Raises ValueError if the token or the host cannot be used.
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
        return self._host.url

    @property
    def name(self) -> str:
        return self._host.name

    def token_record(self) -> Token | None:
        """Return the account's record of this client's token, or None if there is no record.

        Raises the same errors as the methods of `Account`.
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
        """Send one message, without retries.

        If a response with status 2xx reports forbidden content, the result has an `error`, and
        nothing is raised. If the production host accepts a message and marks it as `blocklisted`,
        the result has a `warning` or an `error` (see `_marked`).

        Raises:
            SMSOutcomeUnknown: the message may have been sent.
            SMSError: any other SMSError means that the message was not sent.
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
        # The id in the response to a dry run belongs to no message.
        return result.nameless() if sms.dry_run else result

    def fetch(self, provider_id: str) -> SendResult | None:
        """Return the gateway's record of one message, or None if the gateway has no such message.

        Raise SMSUnavailable or another SMSError if the gateway gave no usable answer. Raise
        ValueError if `provider_id` is empty.
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
        """Return a page of the account's messages, in an order that is not documented.

        Two pages may contain the same message. Raises the same errors as `fetch()`.
        """
        messages = unwrap_list(self._host.read("/messages", {"skip": skip, "limit": limit}))
        if messages is None:  # a 404 may stand for an empty list
            return []
        if not isinstance(messages, list):
            del messages  # as above
            raise unreadable()
        return [read_message(message) for message in messages]

    def _marked(self, result: SendResult, sms: SMS, status: int) -> SendResult:
        """Add an error or a warning to the result of a message that is marked as `blocklisted`.

        Only the production host imposes fines. So if the result comes from another host, return it
        unchanged. A dry run, or a result without provider id, gets an error. Any other result gets
        a warning, and the package then holds back other messages with the same text.
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
            problem = InvalidSMS("The message holds what JSON cannot express")
        raise problem  # not in the handler: the error's context would hold the content


def _message(sms: SMS, callback: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the body of the request, without empty values: the gateway refuses null."""
    options = {"dryRun": sms.dry_run, "failOnMultipleMessages": sms.fail_on_multiple_messages}
    values = {
        "recipient": sms.recipient,
        "message": sms.body,
        "sender": sms.sender,
        "options": {name: True for name, value in options.items() if value},
        "callback": dict(callback or {}),
    }
    return {name: value for name, value in values.items() if value}


def _accepted(response: RawResponse, sms: SMS) -> SendResult | None:
    result, is_ours = _result(response, sms)
    if result is None or is_ours:
        return result
    # The id and prices are another message's, and nothing tells whether ours was sent.
    logger.error("The answer to message %s may belong to another message", sms.reference)
    raise SMSOutcomeUnknown(status=response.status, detail="It may belong to another message")


def _odd(error: SMSError) -> SendResult:
    """Return a result with the error if it reports forbidden content. Otherwise raise the error."""
    if error.code not in CONTENT_CODES:
        raise error
    # The message may have been sent and fined, and so may the next one with this text.
    return SendResult(error=error, warning=ContentRefused(code=error.code, status=error.status))


def _result(response: RawResponse, sms: SMS) -> tuple[SendResult | None, bool]:
    """Return the message in this response, and whether the response answers our request.

    This function must not raise: error reporters would show its variable `payload`.
    """
    payload = parse(response)
    if not is_message(payload):
        return None, False
    is_ours = answers_for(payload, sms.reference, sms.recipient)
    return read_message(payload), response.is_sole if is_ours is None else is_ours


def normalise_token(token: str) -> str:
    """Strip white space and "Bearer " from a token. Raise ValueError if the rest is malformed."""
    bare = re.sub(r"\A\s*(bearer\s+)?", "", token, flags=re.IGNORECASE).strip()
    if not re.fullmatch(r"[!-~]+", bare) or bare.lower() == "bearer":
        raise ValueError("The token is empty, or holds characters that no token has.")
    return bare
