"""Move accepted messages through their states on a schedule, and charge for them."""

from __future__ import annotations

import threading

from .callbacks import Courier
from .clock import now
from .countries import price_of_segment
from .messages import Document, moved, priced
from .records import Entry, Ledger
from .store import Store, StoreClosed
from .wallet import Wallet, to_micro

_LONGEST_NAP = 0.25
_SHORTEST_NAP = 0.002


class Lifecycle:
    """One thread that looks for what is due, in the ledger and at the courier."""

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        wallet: Wallet,
        courier: Courier,
        wake: threading.Event,
        *,
        pace: float,
    ) -> None:
        self._store, self._ledger, self._wallet = store, ledger, wallet
        self._courier, self._wake, self._pace = courier, wake, pace
        self._asleep_until = 0.0
        self._is_held = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Start, and go on with the messages of a former process."""
        self._ledger.resume()
        self._thread.start()

    def stop(self) -> None:
        """Let the current round end."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(5)

    def expect(self, due: float) -> None:
        """Wake up in time for something that is due earlier than what was known."""
        if due < self._asleep_until:
            self._wake.set()

    def next_due(self) -> float:
        """Return when a message that changed now changes again."""
        return now() + self._pace

    def rush(self, message_id: str) -> None:
        """Go through all states at once and post each callback before returning."""
        while (entry := self._ledger.get(message_id)) is not None and entry.steps:
            for seq in self.advance(entry, at_once=True):
                self._courier.post(seq)

    def advance(self, entry: Entry, *, at_once: bool = False) -> list[int]:
        """Move a message to its next state; return the numbers of its callbacks."""
        state, rest = entry.steps[0], entry.steps[1:]
        return self._move(entry, state, rest, entry.behaviour.callbacks, at_once=at_once)

    @property
    def is_held(self) -> bool:
        """Whether messages stand still until somebody decides what becomes of them."""
        return self._is_held

    def hold(self, held: bool) -> None:
        """Let messages stand still, or go on."""
        self._is_held = held
        self._wake.set()

    def decide(self, entry: Entry, state: str, callbacks: str) -> None:
        """Move a message to a state for good, and spoil the callback of that as is wanted."""
        self._move(entry, state, (), callbacks)
        self._wake.set()

    def _move(
        self,
        entry: Entry,
        state: str,
        rest: tuple[str, ...],
        callbacks: str,
        *,
        at_once: bool = False,
    ) -> list[int]:
        with self._store.transaction():
            document = self._charge(moved(entry.document, state), entry)
            due = None if at_once else self.next_due()
            self._ledger.save(document, rest, due)
            return self._courier.plan(document, callbacks, is_last=not rest, at_once=at_once)

    def _charge(self, document: Document, entry: Entry) -> Document:
        """Fill in the price of a worldwide message and take it, once."""
        if entry.route in ("IT", "ES") or entry.document["state"] != "NEW" or entry.charged:
            return document
        price = price_of_segment(entry.route, document["countryCode"])
        total = price * document["messageCount"]
        self._wallet.charge(total)
        self._ledger.add_charge(entry.id, to_micro(total))
        return priced(document, price)

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._round()
        except StoreClosed:
            return

    def _round(self) -> None:
        self._wake.clear()
        with self._store.transaction():
            for entry in () if self._is_held else self._ledger.due(now()):
                self.advance(entry)
        self._courier.dispatch_due()
        self._asleep_until = now() + _LONGEST_NAP  # before looking, so that nothing slips past
        self._wake.wait(self._nap())
        self._asleep_until = 0.0

    def _nap(self) -> float:
        row = self._store.row(
            "SELECT min(due) FROM (SELECT min(due) AS due FROM messages WHERE NOT ?"
            " UNION ALL SELECT min(due) FROM callbacks)",
            self._is_held,
        )
        if row is None or row[0] is None:
            return _LONGEST_NAP
        remaining: float = row[0] - now()
        return min(max(remaining, _SHORTEST_NAP), _LONGEST_NAP)
