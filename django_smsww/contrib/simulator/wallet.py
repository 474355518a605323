"""The simulated account: its credit, and whether it is blocklisted.

The store contains the credit in whole millionths of a euro, so that sums are exact.
"""

from decimal import Decimal
from typing import Any

from .clock import now
from .store import SQLiteStore

_MICRO = 1_000_000
_START = {"credit": 10_000 * _MICRO, "blocklisted": 0}


class SimulatedWallet:
    def __init__(self, store: SQLiteStore) -> None:
        self._store = store
        self.open()

    def open(self) -> None:
        """Create the account if the store does not contain it yet."""
        with self._store.transaction():
            for name, value in {**_START, "created": now()}.items():
                self._store.execute("INSERT OR IGNORE INTO account VALUES (?, ?)", name, value)

    @property
    def credit(self) -> Decimal:
        """The credit in EUR."""
        return Decimal(self._get("credit")) / _MICRO

    @property
    def created(self) -> float:
        return float(self._get("created"))

    @property
    def is_blocklisted(self) -> bool:
        """Whether the account is blocklisted. If so, all messages get the error code 2020."""
        return bool(self._get("blocklisted"))

    def set(self, name: str, value: Any) -> None:
        """Set the value ``credit`` (in EUR) or ``blocklisted`` (true or false)."""
        stored = to_micro(Decimal(value)) if name == "credit" else int(value)
        self._store.execute("UPDATE account SET value = ? WHERE name = ?", stored, name)

    def charge(self, amount: Decimal) -> None:
        """Subtract an amount in EUR from the credit. The credit can become negative."""
        self._store.execute(
            "UPDATE account SET value = value - ? WHERE name = 'credit'", to_micro(amount)
        )

    def _get(self, name: str) -> Any:
        row = self._store.row("SELECT value FROM account WHERE name = ?", name)
        return row["value"] if row else None


def to_micro(amount: Decimal) -> int:
    """Convert EUR to millionths of a euro."""
    return int(amount * _MICRO)
