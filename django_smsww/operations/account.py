"""Ask the gateway about the token and the wallet, for a status report."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.utils import timezone

from ..backends.openapi import SMSBackend
from ..exceptions import AccessRefused, InvalidToken, SMSError, SMSRefused
from ..gateway.host import NAMED_HOSTS
from ..gateway.network import is_loopback

Data = dict[str, Any]
Errors = dict[str, SMSError]


def read_gateway(backend: SMSBackend) -> Data:
    """Return the gateway's information about the token and the account.

    In the result, `errors` has the error class of each failed request, and `statuses` has its HTTP
    status.
    """
    errors: Errors = {}
    return {
        "host": _host(backend.client.url),
        "token": _token(backend, errors),
        "account": _account(backend, errors),
        "errors": {name: type(error).__name__ for name, error in errors.items()},
        "statuses": {name: error.status for name, error in errors.items() if error.status},
    }


def _host(url: str) -> str:
    names = {known: name for name, known in NAMED_HOSTS.items()}
    return names.get(url) or ("simulator" if is_loopback(urlsplit(url).hostname or "") else "other")


def _token(backend: SMSBackend, errors: Errors) -> Data:
    """Ask the gateway once whether it accepts the token.

    An accepted request is free. A refused request may cost money, so it is not repeated.
    """
    try:
        backend.fetch_page(0, 1)
    except InvalidToken:
        return {"accepted": False}
    except SMSError as error:
        errors["token"] = error
        # A token without the right to read the list may still have the right to send.
        is_known = isinstance(error, AccessRefused) and error.status == 403
        return {"accepted": True if is_known or isinstance(error, SMSRefused) else None}
    return {"accepted": True}


def _account(backend: SMSBackend, errors: Errors) -> Data | None:
    account = backend.account
    if not account.is_configured:
        return None
    wallet = _ask(errors, "wallet", account.wallet)
    if wallet is None:  # the next request would fail, too
        return {"wallet": None, "token": None}
    return {
        "wallet": {"credit": wallet.credit, "updated_at": wallet.updated_at},
        "token": _ask(errors, "token_record", lambda: _expiry(backend)),
    }


def _ask(errors: Errors, name: str, question: Callable[[], Any]) -> Any:
    try:
        return question()
    except SMSError as error:
        errors[name] = error
        return None


def _expiry(backend: SMSBackend) -> Data:
    token = backend.client.token_record()
    expires_at = token.expires_at if token else None
    left = (expires_at - timezone.now()) if expires_at else None
    return {
        "listed": token is not None,
        "expires_at": expires_at,
        "days_left": left // timedelta(days=1) if left is not None else None,
    }
