"""The gateway's two hosts, with their URLs, credentials and requests.

The messages host gets only the token. The account host gets only the e-mail and the API key.
"""

import json
import logging
from collections.abc import Iterable, Mapping
from functools import lru_cache
from hmac import compare_digest
from time import monotonic
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.utils.crypto import salted_hmac
from django.utils.translation.trans_null import gettext_noop as _

from ..exceptions import SMSError, SMSOutcomeUnknown, SMSUnavailable
from .errors import error_of, is_refusal
from .http import ExchangeError, RawRequest, RawResponse, exchange
from .network import is_loopback
from .payload import load_json
from .secret import Secret

logger = logging.getLogger("django_smsww.client")

NAMED_HOSTS = {
    "production": "https://sms.openapi.com",
    "sandbox": "https://test.sms.openapi.com",
}
_ACCOUNT_HOSTS = {
    "https://sms.openapi.com": "https://oauth.openapi.com",
    "https://test.sms.openapi.com": "https://test.oauth.openapi.com",
}
_HELP = "write 'production', 'sandbox' or a URL such as 'http://127.0.0.1:8010'"


def messages_url(host: str) -> str:
    """Return the URL of the messages host.

    Raise ValueError if the URL is not valid or not https. Only a host on this machine may use http.
    """
    if not isinstance(host, str):
        raise ValueError(f"host is not text: {_HELP}.")
    return _url_of(host)


@lru_cache(maxsize=256)
def _url_of(host: str) -> str:
    """Check and return the URL of a host. The result is cached."""
    url = NAMED_HOSTS.get(host.strip(), host.strip()).rstrip("/")
    try:
        parts = urlsplit(url)
        name, _ = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError(f"host is not a URL: {_HELP}.") from None
    if parts.scheme not in {"http", "https"} or not name or not url.isascii():
        raise ValueError(f"host is not a URL: {_HELP}.")
    if parts.username or parts.password or parts.query or parts.fragment or " " in url:
        raise ValueError(f"host holds more than scheme, name, port and path: {_HELP}.")
    if parts.scheme == "http" and not is_loopback(name):
        raise ValueError("host must be https, since the token travels to it.")
    if url in _ACCOUNT_HOSTS.values():
        raise ValueError(f"host is the one of the account, not of the messages: {_HELP}.")
    return url


def account_url(messages: str) -> str:
    """Return the URL of the account host that belongs to this messages host.

    If the messages host is not one of the gateway's own hosts, return its URL unchanged. For
    example, a simulator serves both hosts at one URL.
    """
    return _ACCOUNT_HOSTS.get(messages, messages)


class Host:
    """A host with its credential and its time-outs. Errors do not show the texts in `private`."""

    def __init__(
        self,
        url: str,
        authorization: str,
        timeouts: tuple[float, float],
        *,
        private: Iterable[str] = (),
    ) -> None:
        self.url = url
        self._private = [Secret(part) for part in (authorization.partition(" ")[2], *private)]
        self._timeouts = timeouts
        self._headers = {
            "Authorization": Secret(authorization),
            "Accept": "application/json",
            "User-Agent": "django-smsww",
        }

    @property
    def name(self) -> str:
        """A digest that identifies host and credential, and does not reveal the credential."""
        said = f"{self.url} {self._headers['Authorization']}"
        return salted_hmac("django_smsww.host", said, algorithm="sha256").hexdigest()[:32]

    def bears(self, authorization: str) -> bool:
        ours = self._headers["Authorization"].encode()
        return compare_digest(ours, authorization.encode(errors="replace"))

    def request(
        self, method: str, path: str, payload: Mapping[str, Any] | None = None, size: int = 1 << 20
    ) -> RawRequest:
        """Build a request. Raise ValueError or TypeError if JSON cannot express the payload."""
        headers, body = self._headers, None
        if payload is not None:
            headers = headers | {"Content-Type": "application/json"}
            body = json.dumps(payload, ensure_ascii=False, allow_nan=False).encode()
        return RawRequest(method, self.url + path, headers, body, self._timeouts, size)

    def ask(self, request: RawRequest, label: str, reference: object = None) -> RawResponse:
        """Send the request once, and log it. Raise ExchangeError if no complete response came."""
        started, status = monotonic(), None
        try:
            response = exchange(request)
            status = response.status
        finally:
            _log(label, status, monotonic() - started, reference)
        if not response.is_sole:
            logger.error("%s: more than one answer came (message %s)", label, reference)
        return response

    def read(self, path: str, query: Mapping[str, object] | None = None, *, label: str = "") -> Any:
        """Return the JSON at this path, or None if the host answers that nothing is there.

        Raise SMSUnavailable or another SMSError if the host gave no usable answer.
        """
        target = f"{path}?{urlencode(query)}" if query else path
        # A hundred messages of the greatest length fit.
        request = self.request("GET", target, size=8 << 20)
        try:
            response = self.ask(request, label or f"GET {path}")
        except ExchangeError as exc:
            raise SMSUnavailable(_("The gateway gave no answer"), detail=str(exc)) from exc
        if not response.is_sole:  # a 404 may answer another request, and would prove an absence
            raise unreadable(response.status)
        if response.status == 404 and (not response.body.strip() or parse(response) is not None):
            return None
        if not 200 <= response.status < 300:
            raise self.error(response, unsure=SMSUnavailable)
        if (found := parse(response)) is None:
            raise unreadable(response.status)
        if is_refusal(found):  # an error with a status of success; `data` may be null
            del found  # the frame that raises must not hold it
            raise self.error(response, unsure=SMSUnavailable)
        return found

    def error(
        self,
        response: RawResponse,
        *,
        private: Iterable[str] = (),
        unsure: type[SMSError] = SMSOutcomeUnknown,
    ) -> SMSError:
        """Return the exception for this response. The exception does not show the credential."""
        # An error names no message. It answers our request only if nothing else came on the
        # connection, neither before our request nor after the response.
        if not response.is_sole:
            return unsure(status=response.status, detail="More than one answer came")
        secrets = [*self._private, *private]
        return error_of(
            response.status, response.headers, response.body, private=secrets, unsure=unsure
        )


def parse(response: RawResponse) -> Any:
    try:
        return load_json(response.body)
    except ValueError:
        return None


def unreadable(status: int | None = None) -> SMSUnavailable:
    return SMSUnavailable(_("The gateway's answer cannot be read"), status=status)


def _log(label: str, status: int | None, spent: float, reference: object) -> None:
    outcome = f"HTTP {status}" if status else "no answer"
    fields = {"request": label, "status": status, "seconds": spent, "reference": reference}
    logger.debug("%s: %s in %.3f s (message %s)", label, outcome, spent, reference, extra=fields)
