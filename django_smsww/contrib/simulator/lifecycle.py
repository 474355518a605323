"""Move accepted messages from state to state on a schedule, and charge for the messages."""

import threading

from .behaviours import behaviour_of
from .callbacks import CallbackSender
from .clock import now
from .countries import price_of_segment
from .messages import Document, moved, priced
from .records import AcceptedMessage, Ledger
from .store import SQLiteStore, StoreClosed
from .wallet import SimulatedWallet, to_micro

_LONGEST_SLEEP = 0.25
_SHORTEST_SLEEP = 0.002


class Lifecycle:
    """A thread that moves due messages to their next state, and starts due callbacks."""

    def __init__(
        self,
        store: SQLiteStore,
        ledger: Ledger,
        wallet: SimulatedWallet,
        callbacks: CallbackSender,
        state_delay: float,
    ) -> None:
        self._store, self._ledger, self._wallet = store, ledger, wallet
        self._callbacks, self._wake, self._state_delay = callbacks, callbacks.wake, state_delay
        self._asleep_until = 0.0
        self.is_held = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Start the thread, and continue messages that an earlier process has not finished."""
        self._ledger.resume()
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread after its current round, and wait up to five seconds for its end."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(5)

    def expect(self, due: float) -> None:
        """Wake the thread if it would still sleep at `due`, the due time of a message."""
        if due < self._asleep_until:
            self._wake.set()

    def next_due(self) -> float:
        """Return the time of a message's next change of state: now plus the state delay."""
        return now() + self._state_delay

    def rush(self, message_id: str) -> None:
        """Move a message through all its remaining states at once, and post the callbacks."""
        while (message := self._ledger.get(message_id)) is not None and message.steps:
            for seq in self.advance(message, at_once=True):
                self._callbacks.post(seq)

    def advance(self, message: AcceptedMessage, *, at_once: bool = False) -> list[int]:
        """Move a message to its next state, and return the sequence numbers of its callbacks."""
        state, *rest = message.steps
        variant = behaviour_of(message.ending).callbacks
        return self._move(message, state, tuple(rest), variant, at_once=at_once)

    def hold(self, held: bool) -> None:
        """If `held` is True, stop the automatic changes of state. Otherwise, continue them."""
        self.is_held = held
        self._wake.set()

    def decide(self, message: AcceptedMessage, state: str, variant: str) -> None:
        """Move a message to a state in which it stays, and plan the callback.

        Args:
            variant: a key of `callbacks.VARIANTS`, such as "lost" or "twice".
        """
        self._move(message, state, (), variant)
        self._wake.set()

    def _move(
        self,
        message: AcceptedMessage,
        state: str,
        rest: tuple[str, ...],
        variant: str,
        *,
        at_once: bool = False,
    ) -> list[int]:
        with self._store.transaction():
            document = self._charge(moved(message.document, state), message)
            self._ledger.save(document, rest, None if at_once else self.next_due())
            return self._callbacks.plan(document, variant, is_last=not rest, at_once=at_once)

    def _charge(self, document: Document, message: AcceptedMessage) -> Document:
        """Charge for a message of the route "WW" at its first change of state.

        Return `document`. If the message was charged now, the returned document has the price.
        """
        is_charged = message.charged or message.document["state"] != "NEW"
        if message.route in ("IT", "ES") or is_charged:
            return document
        price = price_of_segment(message.route, document["countryCode"])
        total = price * document["messageCount"]
        self._wallet.charge(total)
        self._ledger.add_charge(message.id, to_micro(total))
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
            for message in () if self.is_held else self._ledger.due(now()):
                self.advance(message)
        self._callbacks.dispatch_due()
        # Set before the store is read, so that `expect` misses no message in between.
        self._asleep_until = now() + _LONGEST_SLEEP
        self._wake.wait(self._seconds_to_sleep())
        self._asleep_until = 0.0

    def _seconds_to_sleep(self) -> float:
        row = self._store.row(
            "SELECT min(due) FROM (SELECT min(due) AS due FROM messages WHERE NOT ?"
            " UNION ALL SELECT min(due) FROM callbacks)",
            self.is_held,
        )
        if row is None or row[0] is None:
            return _LONGEST_SLEEP
        remaining: float = row[0] - now()
        return min(max(remaining, _SHORTEST_SLEEP), _LONGEST_SLEEP)
