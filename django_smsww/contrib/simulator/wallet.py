"""The account's money, in millionths of a euro so that sums are exact; and its blocklist."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from .clock import now
from .store import Store

_MICRO = 1_000_000
_START = {"credit": 10_000 * _MICRO, "blocklisted": 0}


class Wallet:
    """The credit, and whether the account is blocklisted."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.open()

    def open(self) -> None:
        """Give a new account its start; leave one that exists alone."""
        with self._store.transaction():
            for name, value in {**_START, "created": now()}.items():
                self._store.execute("INSERT OR IGNORE INTO account VALUES (?, ?)", name, value)

    @property
    def credit(self) -> Decimal:
        """The credit left, in EUR."""
        return from_micro(self._get("credit"))

    @property
    def created(self) -> float:
        """When the account was opened."""
        return float(self._get("created"))

    @property
    def is_blocklisted(self) -> bool:
        """Whether every send is refused with 2020."""
        return bool(self._get("blocklisted"))

    def set(self, name: str, value: Any) -> None:
        """Set one value of the account: credit (EUR) or blocklisted."""
        stored = to_micro(Decimal(value)) if name == "credit" else int(value)
        self._store.execute("UPDATE account SET value = ? WHERE name = ?", stored, name)

    def charge(self, amount: Decimal) -> None:
        """Debit an amount in EUR, even below zero."""
        self._store.execute(
            "UPDATE account SET value = value - ? WHERE name = 'credit'", to_micro(amount)
        )

    def _get(self, name: str) -> Any:
        row = self._store.row("SELECT value FROM account WHERE name = ?", name)
        if row is None:
            self.open()
            return self._get(name)
        return row["value"]


def to_micro(amount: Decimal) -> int:
    """Convert EUR to the whole number that is stored."""
    return int(amount * _MICRO)


def from_micro(micro: int) -> Decimal:
    """Convert the stored whole number to EUR."""
    return Decimal(micro) / _MICRO
