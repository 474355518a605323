"""The endpoints of the account host: tokens and wallet.

Requests contain the account's e-mail and API key (HTTP Basic), never the token for messages.
"""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from .host import Host, unreadable
from .payload import mapping, read_money, read_time, unwrap


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    token: str = field(repr=False)
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wallet:
    credit: Decimal  # in EUR
    updated_at: datetime | None = None


class Account:
    """A client of the account host.

    Every method raises ValueError if the e-mail or the API key is missing, InvalidToken if the host
    refuses these credentials, and SMSUnavailable if the host gives no usable answer.
    """

    def __init__(
        self, url: str, email: str, api_key: str, *, timeouts: tuple[float, float] = (5.0, 30.0)
    ) -> None:
        self.is_configured = bool(email and api_key)
        credentials = b64encode(f"{email}:{api_key}".encode()).decode()
        self._host = Host(url, f"Basic {credentials}", timeouts, private=(email, api_key))

    def tokens(self, *, skip: int = 0, limit: int = 100) -> list[Token]:
        found = self._ask("/tokens", {"skip": skip, "limit": limit})
        if found is None:  # a 404 may stand for an empty list
            return []
        if isinstance(found, Mapping) and found.keys() & {"id", "token"}:  # one, without a list
            found = [found]
        if not isinstance(found, list):
            raise unreadable()
        return [_read_token(item) for item in found if isinstance(item, Mapping)]

    def wallet(self) -> Wallet:
        wallet = mapping(self._ask("/wallet"))
        credit = read_money(wallet.get("credit"), signed=True)
        if credit is None:
            raise unreadable()
        return Wallet(credit=credit, updated_at=read_time(wallet.get("updatedAt")))

    def _ask(self, path: str, query: Mapping[str, object] | None = None) -> Any:
        if not self.is_configured:
            raise ValueError("The account host needs 'account_email' and 'api_key'.")
        return unwrap(self._host.read(path, query))


def _read_token(token: Mapping[str, Any]) -> Token:
    return Token(
        token=str(token.get("token") or ""),
        # The older host writes `expire`, in seconds since 1970.
        expires_at=read_time(token.get("expireAt") or token.get("expire")),
    )
