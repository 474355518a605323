"""The options of a simulator, and the objects that its endpoints share."""

from collections import deque
from dataclasses import dataclass

from .auth import Authenticator
from .callbacks import CallbackSender
from .lifecycle import Lifecycle
from .profiles import Profiles
from .records import Ledger, RequestLog
from .store import SQLiteStore
from .wallet import SimulatedWallet


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of a simulator. While a simulator runs, only its `Profiles` can change.

    Attributes:
        state_delay: seconds between two states of a message.
        drip: seconds between two bytes of a slow response.
        latency: seconds before each response.
        store: the path of an SQLite file, or "" for a temporary file.
        certificate: the path of a PEM file with a certificate and its key, for HTTPS.
    """

    port: int = 0
    store: str = ""
    state_delay: float = 0.5
    drip: float = 0.2
    latency: float = 0.0
    token: str = ""
    certificate: str = ""
    profiles: tuple[str, ...] = ()
    quiet: bool = True
    stop_with_parent: bool = False


class Context:
    """The objects that make up one simulator, such as its store and its wallet."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.profiles = Profiles(options.profiles)
        self.store = SQLiteStore(options.store)
        self.wallet = SimulatedWallet(self.store)
        self.ledger = Ledger(self.store)
        self.request_log = RequestLog(self.store)
        self.callbacks = CallbackSender(self.store, self.profiles, options.state_delay)
        self.lifecycle = Lifecycle(
            self.store, self.ledger, self.wallet, self.callbacks, options.state_delay
        )
        self.authenticator = Authenticator(self.store, options.token)
        self.armed: dict[str, deque[str]] = {}

    def start(self) -> None:
        self.callbacks.start()
        self.lifecycle.start()

    def stop(self) -> None:
        self.lifecycle.stop()
        self.callbacks.stop()
        self.store.close()

    def reset(self) -> None:
        """Delete all records, and undo all other effects of the control endpoints."""
        with self.store.transaction():
            self.store.clear()
            self.wallet.open()
        self.profiles.replace(self.options.profiles)
        self.armed.clear()
        self.lifecycle.hold(False)

    def next_behaviour(self, method: str) -> str:
        """Return and forget the next behaviour for ``method``, or "" if no test has set one.

        The name of a behaviour is the last three digits of a test number, such as "914".
        """
        try:
            return self.armed[method].popleft()
        except (KeyError, IndexError):
            return ""

    def next_fault(self, name: str) -> str:
        """Return the fault `name` if a test set it for the next connection. Otherwise, return "".

        A returned fault is removed.
        """
        armed = self.armed.get("CONNECT")
        return self.next_behaviour("CONNECT") if armed and armed[0] == name else ""
