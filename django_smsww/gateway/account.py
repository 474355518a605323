"""The host of the account: its tokens and its wallet.

It takes the account's e-mail and API key, never the token of the messages (specification of the
account service, HTTP Basic).
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from .host import Host, unreadable
from .payload import read_money, read_time, unwrap

_SECRET_KEYS = frozenset({"headers", "token", "refreshToken", "otp"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An access token. Only `create_token` should ever need to show it."""

    token: str = field(repr=False)
    refresh_token: str = field(default="", repr=False)
    name: str = ""
    scopes: tuple[str, ...] = ()
    created_at: datetime | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wallet:
    """What is left to spend, in EUR."""

    credit: Decimal
    updated_at: datetime | None = None


class Account:
    """Asks the host of the account.

    Every method raises ValueError without an e-mail and an API key, and SMSError where the host
    refuses (InvalidToken: the credentials) or gives no usable answer (SMSUnavailable).
    """

    def __init__(
        self, url: str, email: str, api_key: str, *, timeouts: tuple[float, float] = (5.0, 30.0)
    ) -> None:
        self.is_configured = bool(email and api_key)
        credentials = b64encode(f"{email}:{api_key}".encode()).decode()
        self._host = Host(url, f"Basic {credentials}", timeouts)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._host.url}>"

    def is_same_as(self, other: Account) -> bool:
        """Tell whether both are the same account, with one wallet."""
        return self.is_configured and self._host.is_same_as(other._host)

    def create_token(
        self,
        scopes: Sequence[str],
        *,
        name: str = "",
        ttl: int | None = None,
        limits: Mapping[str, Any] | None = None,
    ) -> Token:
        """Create a token for scopes such as "POST:sms.openapi.com/WW-messages".

        `ttl` is in seconds, a year at most; `limits` are those of the specification.
        """
        self._require_credentials()
        wanted = {"scopes": list(scopes), "name": name, "ttl": ttl, "limits": limits}
        payload = {key: value for key, value in wanted.items() if value}
        asked = self._host.request("POST", "/tokens", payload)
        created = unwrap(self._host.read(asked, label="POST /tokens"))
        if not isinstance(created, Mapping) or not isinstance(created.get("token"), str):
            del created
            raise unreadable()
        return _read_token(created)

    def tokens(self, *, skip: int = 0, limit: int = 100) -> list[Token]:
        """List the tokens of the account, with their expiry."""
        return [_read_token(token) for token in self._list("/tokens", skip=skip, limit=limit)]

    def wallet(self) -> Wallet:
        """Return the credit."""
        wallet = self._one("/wallet")
        credit = read_money((wallet or {}).get("credit"), signed=True)
        if wallet is None or credit is None:
            raise unreadable()
        return Wallet(credit=credit, updated_at=read_time(wallet.get("updatedAt")))

    def transactions(self, *, skip: int = 0, limit: int = 100) -> list[dict[str, Any]]:
        """List what was taken from and put into the wallet; amounts are Decimal."""
        return _scrubbed(self._list("/wallet/transactions", skip=skip, limit=limit))

    def subscriptions(
        self, *, scopes: str = "", skip: int = 0, limit: int = 100
    ) -> list[dict[str, Any]]:
        """List the bundles, which are used up before the wallet; their counts are text."""
        return _scrubbed(self._list("/subscriptions", scopes=scopes, skip=skip, limit=limit))

    def _list(self, path: str, **query: object) -> list[Mapping[str, Any]]:
        self._require_credentials()
        found = unwrap(self._host.look_up(path, query))
        if found is None:  # an empty list is a 404, too
            return []
        if isinstance(found, Mapping) and found.keys() & {"id", "token"}:  # a list of one
            return [found]
        if not isinstance(found, list):
            raise unreadable()
        return [item for item in found if isinstance(item, Mapping)]

    def _one(self, path: str) -> Mapping[str, Any] | None:
        self._require_credentials()
        found = unwrap(self._host.look_up(path))
        if found is not None and not isinstance(found, Mapping):
            raise unreadable()
        return found

    def _require_credentials(self) -> None:
        if not self.is_configured:
            raise ValueError("The account host needs 'account_email' and 'api_key'.")


def _read_token(token: Mapping[str, Any]) -> Token:
    scopes = token.get("scopes")
    return Token(
        token=str(token.get("token") or ""),
        refresh_token=str(token.get("refreshToken") or ""),
        name=str(token.get("name") or "")[:255],
        scopes=tuple(map(str, scopes)) if isinstance(scopes, list) else (),
        created_at=read_time(token.get("createdAt")),
        # The older host writes `expire`, in seconds since 1970.
        expires_at=read_time(token.get("expireAt") or token.get("expire")),
    )


def _scrubbed(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in record.items() if key not in _SECRET_KEYS}
        for record in records
    ]
