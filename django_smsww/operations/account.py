"""What the gateway says of the token and of the account. It costs nothing, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from django.utils import timezone

from ..backends.openapi import SMSBackend
from ..exceptions import InvalidToken, SMSError, SMSRefused
from ..gateway.account import Account
from ..gateway.host import NAMED_HOSTS
from ..gateway.loopback import is_loopback
from ..gateway.payload import read_money, read_time

_PAGE = 100
_PAGES = 20

Data = dict[str, Any]


@dataclass
class Provider:
    """Asks the gateway, and keeps the names of the errors that came in place of answers."""

    backend: SMSBackend
    errors: dict[str, str] = field(default_factory=dict)

    def read(self, since: datetime) -> Data:
        """Return all that the gateway says; what it did not answer is None, and in `errors`."""
        return {
            "host": self._host(),
            "token": self._token(),
            "account": self._account(since),
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

    def _account(self, since: datetime) -> Data | None:
        account = self.backend.account
        if not account.is_configured:
            return None
        wallet = self._ask("wallet", account.wallet)
        # Where the host of the account does not answer, or refuses, it is not asked again.
        if wallet is None:
            return {"wallet": None, "bundles": None, "token": None, "debits": None}
        return {
            "wallet": {"credit": wallet.credit, "updated_at": wallet.updated_at},
            "bundles": self._ask("bundles", lambda: _bundles(account)),
            "token": self._ask("token_record", lambda: _expiry(self.backend)),
            "debits": self._ask("debits", lambda: read_debits(account, since)),
        }

    def _ask(self, name: str, question: Callable[[], Any]) -> Any:
        try:
            return question()
        except SMSError as error:
            self.errors[name] = _name(error)
            return None


def _name(error: SMSError) -> str:
    return type(error).__name__


def _bundles(account: Account) -> list[Data]:
    return [
        {
            "scope": str(bundle.get("scope") or "")[:255],
            "active": bundle.get("active") is True,
            "available": _whole(bundle.get("availableRequests")),
            "expires_at": read_time(bundle.get("expiresAt")),
        }
        for bundle in account.subscriptions()
    ]


def _whole(value: Any) -> int | None:
    """Read a count, which the account host writes as text."""
    text = str(value)
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None


def _expiry(backend: SMSBackend) -> Data:
    token = backend.client.token_record()
    expires_at = token.expires_at if token else None
    left = (expires_at - timezone.now()) if expires_at else None
    return {
        "listed": token is not None,
        "expires_at": expires_at,
        "days_left": left // timedelta(days=1) if left is not None else None,
    }


def read_debits(account: Account, since: datetime) -> Data:
    """Return what was taken from the wallet on each day, and whether all of it was read."""
    days: dict[date, Decimal] = {}
    seen: set[str] = set()
    for page in range(_PAGES):
        transactions = account.transactions(skip=page * _PAGE, limit=_PAGE)
        fresh = [each for each in transactions if str(each.get("id")) not in seen]
        seen |= {str(each.get("id")) for each in fresh}
        for transaction in fresh:
            _add(days, transaction, since)
        if len(transactions) < _PAGE or _reached(transactions, since):
            return {"days": days, "complete": True}
    return {"days": days, "complete": False}


def _reached(transactions: Sequence[Mapping[str, Any]], since: datetime) -> bool:
    """Whether this page goes back past the time, where the newest come first."""
    moments = [read_time(each.get("createdAt")) for each in transactions]
    first, last = moments[0], moments[-1]
    return first is not None and last is not None and last < min(first, since)


def _add(days: dict[date, Decimal], transaction: Mapping[str, Any], since: datetime) -> None:
    amount = read_money(transaction.get("amount"), signed=True)
    moment = read_time(transaction.get("createdAt"))
    if amount is None or moment is None or amount >= 0 or moment < since:
        return
    # One wallet pays for all of the provider's services; those of other hosts name themselves.
    description = str(transaction.get("description") or "").lower()
    if "openapi." in description and "sms" not in description:
        return
    day = moment.date() if timezone.is_naive(moment) else timezone.localdate(moment)
    days[day] = days.get(day, Decimal(0)) - amount
