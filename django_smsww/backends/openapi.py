from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from ..exceptions import InvalidSMSBackend
from ..gateway.account import Account
from ..gateway.client import ROUTES, Client, normalise_token
from ..gateway.host import messages_url
from ..gateway.network import check_network
from ..gateway.signature import custom_stamp, header_stamp, sign
from ..sms import SMS, SendResult
from .base import BaseSMSBackend, environment_of
from .options import Rule, check_options, is_number, is_text

_COUNTRY_ROUTES = {"+39": "IT", "+34": "ES"}


class SMSBackend(BaseSMSBackend):
    """Send messages through the Openapi gateway, with one request for each message.

    The page Settings of the documentation (docs/settings.md) describes the options.
    """

    supports_dry_run = True

    def __init__(
        self,
        *,
        token: str = "",
        host: str = "production",
        route: str = "WW",
        callback_url: str = "",
        callback_method: str = "JSON",
        callback_retry: int = 5,
        timeout: float | tuple[float, float] = 30.0,
        account_email: str = "",
        api_key: str = "",
        alias: str | None = None,
        environment: str = "",
        **options: Any,
    ) -> None:
        if not token or not isinstance(token, str):
            raise InvalidSMSBackend("OPTIONS must define 'token'.", alias=alias)
        check_options(locals(), _RULES, _DEFAULTS, alias=alias)
        environment = environment or environment_of(callback_url)
        super().__init__(alias=alias, environment=environment, **options)
        self.route = route
        self.callback_url = callback_url
        self.callback_method = callback_method
        self.callback_retry = callback_retry
        self.client = Client(
            token,
            host=_checked_host(host, alias),
            timeouts=_timeouts(timeout),
            account_email=account_email,
            api_key=api_key,
        )

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.{type(self).__name__} {self.alias!r}: {self.client!r}>"

    @property
    def account(self) -> Account:
        """The client for wallet and tokens. It needs the options `account_email` and `api_key`."""
        return self.client.account

    @property
    def rate_scope(self) -> str:
        """A digest of the token, because the gateway limits the request rate of each token."""
        return self.client.name

    def send(self, sms: SMS) -> SendResult:
        return self.client.send(self.route_for(sms), sms, self.callback_for(sms))

    def fetch(self, provider_id: str) -> SendResult | None:
        return self.client.fetch(provider_id)

    def fetch_page(self, skip: int, limit: int) -> list[SendResult]:
        return self.client.fetch_page(skip, limit)

    def route_for(self, sms: SMS) -> str:
        if self.route != "auto":
            return self.route
        return _COUNTRY_ROUTES.get(sms.recipient[:3], "WW")

    def callback_for(self, sms: SMS) -> dict[str, Any] | None:
        """Return the field `callback` of the request, or None if the alias has no `callback_url`.

        A callback carries the signed reference of its message twice: in the custom data and in a
        header. The header alone is not enough, because a proxy may drop headers.
        """
        if not self.callback_url:
            return None
        stamp = sms.reference, self.environment, sign(sms.reference, self.environment)
        return {
            "url": self.callback_url,
            "method": self.callback_method,
            "retry": self.callback_retry,
            "custom": {**(sms.custom or {}), **custom_stamp(*stamp)},
            "headers": header_stamp(*stamp),
        }


_DEFAULTS: Any = SMSBackend.__init__.__kwdefaults__


def _checked_host(host: str, alias: str | None) -> str:
    try:
        url = messages_url(host)
    except ValueError as error:
        text = str(error).removeprefix("host ")
        raise InvalidSMSBackend(f"OPTIONS['host'] {text}", alias=alias) from None
    try:
        check_network(url)
    except ValueError as error:
        raise InvalidSMSBackend(str(error), alias=alias) from None
    return url


def _timeouts(value: float | tuple[float, float]) -> tuple[float, float]:
    if isinstance(value, (tuple, list)):
        return value[0], value[1]
    return min(5.0, value), value


def _is_token(value: str) -> bool:
    try:
        return bool(normalise_token(value))
    except ValueError:
        return False


@lru_cache(maxsize=256)
def _is_callback_url(value: str) -> bool:
    """Whether this is a valid callback URL, which must not contain a user name or a password."""
    if not value.isascii() or " " in value:
        return False
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        return False
    has_credentials = parts.username is not None or parts.password is not None
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and not has_credentials


LONGEST_TIMEOUT = 120
"""The longest `timeout`, in seconds. A request must end long before the worker's lease ends."""


def _is_seconds(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return 0 < value <= LONGEST_TIMEOUT  # which NaN is not


def _is_timeout(value: object) -> bool:
    if isinstance(value, (tuple, list)):
        return len(value) == 2 and all(map(_is_seconds, value))
    return _is_seconds(value)


_RULES: dict[str, Rule] = {
    "token": (_is_token, "an access token, without spaces"),
    "route": (lambda value: value in (*ROUTES, "auto"), "'WW', 'IT', 'ES' or 'auto'"),
    "callback_url": (
        lambda value: value == "" or (is_text(value) and _is_callback_url(value)),
        "a URL such as 'https://example.com/sms/callback/', without user name and password",
    ),
    "callback_method": (lambda value: value in ("JSON", "POST"), "'JSON' or 'POST'"),
    "callback_retry": (lambda value: is_number(value, 0, 5), "an integer from 0 to 5"),
    "timeout": (
        _is_timeout,
        f"seconds up to {LONGEST_TIMEOUT}, or a pair of them: to connect, and for all",
    ),
    "account_email": (is_text, "a string"),
    "api_key": (is_text, "a string"),
}
