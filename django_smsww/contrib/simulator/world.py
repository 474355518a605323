"""The parts of one simulator, put together once."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field

from .auth import Doorkeeper
from .callbacks import Courier
from .journal import Journal
from .lifecycle import Lifecycle
from .options import Options
from .profiles import Profiles
from .records import Ledger
from .store import Store
from .wallet import Wallet


@dataclass(slots=True)
class World:
    """What every endpoint may use."""

    options: Options
    store: Store
    profiles: Profiles
    wallet: Wallet
    ledger: Ledger
    journal: Journal
    courier: Courier
    lifecycle: Lifecycle
    doorkeeper: Doorkeeper
    armed: dict[str, deque[str]] = field(default_factory=dict)

    def start(self) -> None:
        """Start what works by itself."""
        self.courier.start()
        self.lifecycle.start()

    def stop(self) -> None:
        """Stop it, and close the store."""
        self.lifecycle.stop()
        self.courier.stop()
        self.store.close()

    def reset(self) -> None:
        """Forget everything, and be as at the start."""
        with self.store.transaction():
            self.store.clear()
            self.wallet.open()
        self.profiles.replace(self.options.profiles)
        self.armed.clear()
        self.lifecycle.hold(False)

    def wrap(self, payload: object) -> object:
        """Put a success into its envelope."""
        return payload if "bare" in self.profiles else {"data": payload}

    def take_armed(self, method: str) -> str:
        """Return the ending whose behaviour the next request of this method has; "" for none."""
        try:
            return self.armed[method].popleft()
        except (KeyError, IndexError):
            return ""

    def take_fault(self, name: str) -> str:
        """Return this fault if it is what the next connection is to suffer; else ""."""
        waiting = self.armed.get("CONNECT")
        return self.take_armed("CONNECT") if waiting and waiting[0] == name else ""


def build_world(options: Options) -> World:
    """Open the store and join the parts."""
    profiles, wake = Profiles(options.profiles), threading.Event()
    store = Store(options.store)
    ledger = Ledger(store)
    wallet = Wallet(store)
    courier = Courier(store, profiles, wake, pace=options.pace)
    return World(
        options=options,
        store=store,
        profiles=profiles,
        wallet=wallet,
        ledger=ledger,
        journal=Journal(store),
        courier=courier,
        lifecycle=Lifecycle(store, ledger, wallet, courier, wake, pace=options.pace),
        doorkeeper=Doorkeeper(store, profiles, options.token),
    )
