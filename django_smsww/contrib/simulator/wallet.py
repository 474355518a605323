"""The account's money, in millionths of a euro so that sums are exact; and its blocklist."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from .clock import iso, new_id, now
from .store import Store

_MICRO = 1_000_000


class Wallet:
    """Credit, a bundle of prepaid segments, and whether the account is blocklisted."""

    def __init__(self, store: Store, credit: Decimal, bundle: int) -> None:
        self._store = store
        self._start = {"credit": to_micro(credit), "bundle": bundle, "blocklisted": 0}
        self.open()

    def open(self) -> None:
        """Give a new account its start; leave one that exists alone."""
        with self._store.transaction():
            for name, value in {**self._start, "created": now()}.items():
                self._store.execute("INSERT OR IGNORE INTO account VALUES (?, ?)", name, value)

    @property
    def credit(self) -> Decimal:
        """The credit left, in EUR."""
        return from_micro(self._get("credit"))

    @property
    def bundle(self) -> int:
        """The prepaid segments left."""
        return int(self._get("bundle"))

    @property
    def created(self) -> float:
        """When the account was opened."""
        return float(self._get("created"))

    @property
    def is_blocklisted(self) -> bool:
        """Whether every send is refused with 2020."""
        return bool(self._get("blocklisted"))

    def set(self, name: str, value: Any) -> None:
        """Set one value of the account: credit (EUR), bundle or blocklisted."""
        stored = to_micro(Decimal(value)) if name == "credit" else int(value)
        self._store.execute("UPDATE account SET value = ? WHERE name = ?", stored, name)

    def can_pay(self, segments: int, amount: Decimal) -> bool:
        """Tell whether the bundle has the segments or the wallet the amount."""
        return self.bundle >= segments or self.credit >= amount

    def pay(self, segments: int, amount: Decimal, description: str) -> Decimal:
        """Take the segments from the bundle, or else the amount from the wallet; return it."""
        with self._store.transaction():
            if self.bundle >= segments:
                self.set("bundle", self.bundle - segments)
                return Decimal(0)
            self.charge(amount, description)
        return amount

    def charge(self, amount: Decimal, description: str) -> None:
        """Debit an amount in EUR, even below zero."""
        micro = to_micro(amount)
        with self._store.transaction():
            self._store.execute("UPDATE account SET value = value - ? WHERE name = 'credit'", micro)
            self._store.execute(
                "INSERT INTO transactions (id, amount, created, description) VALUES (?, ?, ?, ?)",
                f"txn_{new_id()}",
                -micro,
                now(),
                description,
            )

    def transactions(self, skip: int, limit: int) -> list[dict[str, Any]]:
        """List the debits, newest first, in the platform's shape."""
        rows = self._store.rows(
            "SELECT * FROM transactions ORDER BY seq DESC LIMIT ? OFFSET ?", limit, skip
        )
        return [
            {
                "id": row["id"],
                "amount": row["amount"] / _MICRO,
                "createdAt": iso(row["created"]),
                "description": row["description"],
            }
            for row in rows
        ]

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
