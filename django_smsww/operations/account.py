"""The gateway's part of the report: the token, the wallet. Asking costs and changes nothing."""

from __future__ import annotations

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
Errors = dict[str, str]


def read_gateway(backend: SMSBackend) -> Data:
    """Return the gateway's answers; a missing one is None, and its error is named in `errors`."""
    errors: Errors = {}
    return {
        "host": _host(backend.client.url),
        "token": _token(backend, errors),
        "account": _account(backend, errors),
        "errors": errors,
    }


def _host(url: str) -> str:
    names = {known: name for name, known in NAMED_HOSTS.items()}
    return names.get(url) or ("simulator" if is_loopback(urlsplit(url).hostname or "") else "other")


def _token(backend: SMSBackend, errors: Errors) -> Data:
    """Tell whether the host accepts the token; one request only, since some refusals cost money."""
    try:
        backend.fetch_page(0, 1)
    except InvalidToken:
        return {"accepted": False}
    except SMSError as error:
        errors["token"] = type(error).__name__
        # A token that may not read the list may still be good for sending.
        is_known = isinstance(error, AccessRefused) and error.status == 403
        return {"accepted": True if is_known or isinstance(error, SMSRefused) else None}
    return {"accepted": True}


def _account(backend: SMSBackend, errors: Errors) -> Data | None:
    account = backend.account
    if not account.is_configured:
        return None
    wallet = _ask(errors, "wallet", account.wallet)
    if wallet is None:  # a host that does not answer, or refuses, is not asked again
        return {"wallet": None, "token": None}
    return {
        "wallet": {"credit": wallet.credit, "updated_at": wallet.updated_at},
        "token": _ask(errors, "token_record", lambda: _expiry(backend)),
    }


def _ask(errors: Errors, name: str, question: Callable[[], Any]) -> Any:
    try:
        return question()
    except SMSError as error:
        errors[name] = type(error).__name__
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
