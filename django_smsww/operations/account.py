"""What the gateway says of the token and of the account. It costs nothing, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.utils import timezone

from ..backends.openapi import SMSBackend
from ..exceptions import InvalidToken, SMSError, SMSRefused
from ..gateway.host import NAMED_HOSTS, is_loopback

Data = dict[str, Any]


@dataclass
class Provider:
    """Asks the gateway, and keeps the names of the errors that came in place of answers."""

    backend: SMSBackend
    errors: dict[str, str] = field(default_factory=dict)

    def read(self) -> Data:
        """Return all that the gateway says; what it did not answer is None, and in `errors`."""
        return {
            "host": self._host(),
            "token": self._token(),
            "account": self._account(),
            "errors": self.errors,
        }

    def _host(self) -> str:
        url = self.backend.client.url
        names = {known: name for name, known in NAMED_HOSTS.items()}
        local = is_loopback(urlsplit(url).hostname or "")
        return names.get(url) or ("simulator" if local else "other")

    def _token(self) -> Data:
        """Say whether the token is accepted; one refused request has to do, as some are charged."""
        try:
            self.backend.fetch_page(0, 1)
        except InvalidToken:
            return {"accepted": False}
        except SMSRefused as error:  # it may be good for sending all the same
            self.errors["token"] = _name(error)
        except SMSError as error:
            self.errors["token"] = _name(error)
            return {"accepted": None}
        return {"accepted": True}

    def _account(self) -> Data | None:
        account = self.backend.account
        if not account.is_configured:
            return None
        wallet = self._ask("wallet", account.wallet)
        # Where the host of the account does not answer, or refuses, it is not asked again.
        if wallet is None:
            return {"wallet": None, "token": None}
        return {
            "wallet": {"credit": wallet.credit, "updated_at": wallet.updated_at},
            "token": self._ask("token_record", lambda: _expiry(self.backend)),
        }

    def _ask(self, name: str, question: Callable[[], Any]) -> Any:
        try:
            return question()
        except SMSError as error:
            self.errors[name] = _name(error)
            return None


def _name(error: SMSError) -> str:
    return type(error).__name__


def _expiry(backend: SMSBackend) -> Data:
    token = backend.client.token_record()
    expires_at = token.expires_at if token else None
    left = (expires_at - timezone.now()) if expires_at else None
    return {
        "listed": token is not None,
        "expires_at": expires_at,
        "days_left": left // timedelta(days=1) if left is not None else None,
    }
