"""The host of the messages, one method for each of its endpoints (specification 1.2.7)."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from django.utils.translation.trans_null import gettext_noop as _

from ..exceptions import ContentRefused, InvalidSMS, SMSOutcomeUnknown, SMSUnavailable
from ..sms import SMS, SendResult
from .account import Account, Token
from .echo import answers_for
from .host import Host, account_url, messages_url, parse, unreadable
from .http import Answer, Exchange, ExchangeError
from .payload import is_message, read_message, read_messages, unwrap

logger = logging.getLogger("django_smsww.client")

ROUTES = ("WW", "IT", "ES")
"""The endpoints that send: worldwide, Italy and Spain."""

_PAGE = 100
_TOKEN_PAGES = 10


class Client:
    """Speaks to the gateway. It is cheap, opens nothing by itself, and may be shared by threads.

    `host` is "production", "sandbox" or a URL; `timeouts` are the seconds to connect within, and
    those within which the whole exchange must end. The account's e-mail and API key are needed
    for `account` alone.

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
        """Where messages are sent to."""
        return self._host.url

    @property
    def name(self) -> str:
        """What tells this host and token apart from others, and tells nobody the token."""
        return self._host.name

    def token_record(self) -> Token | None:
        """Return what the account says of the token in use, or None if it does not list it.

        Raises:
            ValueError, SMSError: as the methods of `account` do.
        """
        for page in range(_TOKEN_PAGES):
            tokens = self.account.tokens(skip=page * _PAGE, limit=_PAGE)
            found = [each for each in tokens if self._host.bears(f"Bearer {each.token}")]
            if found:
                return found[0]
            if len(tokens) < _PAGE:
                break
        return None

    def send(self, route: str, sms: SMS, callback: Mapping[str, Any] | None = None) -> SendResult:
        """Send one message, once.

        Content that the gateway accepted only to block it is a result with its `error` set.

        Raises:
            SMSOutcomeUnknown: it may have been sent.
            SMSError: any other certainly was not.
        """
        try:
            asked = self._host.request("POST", f"/{route}-messages", _message(sms, callback))
        except (TypeError, ValueError):
            asked = None
        if asked is None:  # raised out here, where no content hangs on it
            raise InvalidSMS("The message holds what JSON cannot express")
        private = _Private((sms.recipient, sms.body))
        answer = self._post(asked, f"POST /{route}-messages", private, sms.reference)
        result = _accepted(answer, sms)
        # The id that comes back for a dry run names no message.
        return replace(result, provider_id="") if sms.dry_run else result

    def fetch(self, provider_id: str) -> SendResult | None:
        """Return what the gateway says of one message, or None if it has no such message.

        Raises:
            SMSError: SMSUnavailable where it gave no usable answer.
        """
        name = quote(provider_id, safe="")
        if not name.strip("."):
            raise ValueError("provider_id is empty")
        payload = self._host.look_up(f"/messages/{name}", label="GET /messages/{id}")
        if payload is None:
            return None
        result = read_message(payload)
        if result.provider_id != provider_id:  # not the message that was asked for
            raise unreadable()
        return result

    def fetch_page(self, skip: int = 0, limit: int = 100) -> list[SendResult]:
        """Return a page of the account's messages; how they are ordered is documented nowhere.

        Pages move while messages arrive: take each provider id once.

        Raises:
            SMSError: SMSUnavailable where the gateway gave no usable answer.
        """
        payload = self._host.look_up("/messages", {"skip": skip, "limit": limit})
        messages = unwrap(payload)
        if messages is None:  # an empty list is a 404, too
            return []
        if not isinstance(messages, list):
            raise unreadable()
        return read_messages(messages)

    def _post(
        self, asked: Exchange, label: str, private: Iterable[str], reference: object = None
    ) -> Answer:
        try:
            answer = self._host.ask(asked, label=label, reference=reference)
        except ExchangeError as exc:
            kind = SMSOutcomeUnknown if exc.written else SMSUnavailable
            raise kind(detail=str(exc)) from exc
        if not 200 <= answer.status < 300:
            raise self._host.error(answer, private=private)
        return answer


class _Private(tuple[str, ...]):
    """Texts that an error must not show, nor whoever prints the variables of a frame."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<private>"


def _message(sms: SMS, callback: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the request's body. What is empty is left out, for the gateway refuses null."""
    options = {
        "dryRun": sms.dry_run,
        "failOnMultipleMessages": sms.fail_on_multiple_messages,
    }
    sender = {"sender": sms.sender} if sms.sender else {}
    chosen = {name: True for name, value in options.items() if value}
    return {
        "recipient": sms.recipient,
        "message": sms.body,
        **sender,
        **({"options": chosen} if chosen else {}),
        **({"callback": dict(callback)} if callback else {}),
    }


def _accepted(answer: Answer, sms: SMS) -> SendResult:
    """Return what an answer of success says; without our message in it, it says nothing sure."""
    result, is_ours = _result(answer, sms)
    if result is None:
        raise SMSOutcomeUnknown(
            _("The gateway's answer cannot be read: it may have been sent"), status=answer.status
        )
    if not is_ours:
        # Its id and its prices are those of another message, whether or not ours was sent.
        logger.error("The answer to message %s may belong to another message", sms.reference)
        raise SMSOutcomeUnknown(status=answer.status, detail="It may belong to another message")
    if result.blocklisted:
        refusal = ContentRefused(status=answer.status)
        return replace(result, error=refusal)
    return result


def _result(answer: Answer, sms: SMS) -> tuple[SendResult | None, bool]:
    """Return the message in this answer, and whether it is the one that was sent."""
    payload = parse(answer)
    if not is_message(payload):
        return None, False
    is_ours = answers_for(payload, sms.reference, sms.recipient)
    return read_message(payload), answer.is_sole if is_ours is None else is_ours


def normalise_token(token: str) -> str:
    """Return the token without the "Bearer " and the white space that come along when pasted.

    Raises:
        ValueError: there is no token in it.
    """
    bare = re.sub(r"\A\s*(bearer\s+)?", "", token, flags=re.IGNORECASE).strip()
    if not re.fullmatch(r"[!-~]+", bare) or bare.lower() == "bearer":
        raise ValueError("The token is empty, or holds what no token holds.")
    return bare
