"""Run a simulator as a separate process, from a test, a script or a demo."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

_MODULE = "django_smsww.contrib.simulator"
_START_SECONDS = 20

# No proxy: the environment may name one for the real gateway, and this stays on the machine. No
# check of the certificate: it belongs to our own process, and may be for any name.
_opener = build_opener(ProxyHandler({}), HTTPSHandler(context=ssl._create_unverified_context()))  # noqa: S323


def ask(url: str, name: str, payload: dict[str, Any] | None = None) -> Any:
    """GET a control endpoint of a simulator, or POST a payload to it; return the JSON.

    Raises:
        OSError: there is no answer. HTTPError, a subclass: the simulator refuses.
    """
    body = None if payload is None else json.dumps(payload).encode()
    headers = {"Content-Type": "application/json"}
    request = Request(f"{url}/_simulator/{name}", body, headers)  # noqa: S310  http on loopback
    with _opener.open(request, timeout=30) as response:
        return json.load(response)


class SimulatorProcess:
    """A running simulator: ``with SimulatorProcess(state_delay=0.02) as simulator:``.

    It ends with this process, even if that is killed. After `kill`, `start` uses the same port
    and store again, like a restarted gateway. `stop` removes a store without a name.

    Args:
        state_delay, port, store, token, profiles: see `context.Options`.
        arguments: more words of the command line.
    """

    def __init__(
        self,
        *,
        state_delay: float = 0.02,
        port: int = 0,
        store: str | Path = "",
        token: str = "",
        profiles: tuple[str, ...] | list[str] = (),
        arguments: tuple[str, ...] | list[str] = (),
    ) -> None:
        self.port, self._state_delay, self._token = port, state_delay, token
        self._profiles, self._arguments = tuple(profiles), tuple(arguments)
        self._store, self._directory = str(store), ""
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def start(self) -> SimulatorProcess:
        """Start, and wait until the simulator listens."""
        if not self._store:
            self._directory = tempfile.mkdtemp(prefix="smsww-simulator-")
            self._store = str(Path(self._directory) / "store.sqlite3")
        self._process = subprocess.Popen(  # noqa: S603  our own interpreter and words
            self._command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=_environment()
        )
        try:
            self.url = _read_url(self._process)
        except BaseException:
            self.kill()
            self._remove_store()
            raise
        self.port = urlsplit(self.url).port or 0
        return self

    def stop(self) -> None:
        """End the process cleanly; does nothing if it has ended already."""
        self._end(signal.SIGTERM)
        self._remove_store()

    def kill(self) -> None:
        """Kill the process; the store stays."""
        self._end(signal.SIGKILL)

    def ledger(self) -> list[dict[str, Any]]:
        """List every accepted message; one that was accepted twice is there twice."""
        entries: list[dict[str, Any]] = self._ask("ledger")
        return entries

    def requests(self) -> list[dict[str, Any]]:
        """List every POST of a message: accepted, validated and refused."""
        requests: list[dict[str, Any]] = self._ask("requests")
        return requests

    def reset(self) -> None:
        """Delete all records, and restore the options of the start."""
        self._ask("reset", {})

    def set_profile(self, *names: str) -> None:
        """Activate exactly these profiles, also for the next `start`."""
        self._ask("profile", {"profiles": list(names)})
        self._profiles = names

    def set_account(self, **values: Any) -> None:
        """Set credit (in EUR) or blocklisted (true or false)."""
        self._ask("account", values)

    def arm(self, ending: str, *, times: int = 1, method: str = "POST") -> None:
        """Give the next requests the behaviour of a test number, for any recipient.

        The method "CONNECT" is for one of http.CONNECTION_FAULTS.
        """
        self._ask("next", {"ending": ending, "times": times, "method": method})

    def messages(self) -> list[dict[str, Any]]:
        """List the newest messages with their callbacks."""
        found: list[dict[str, Any]] = self._ask("messages")["messages"]
        return found

    def hold(self, held: bool = True) -> None:
        """Stop all messages until `decide`, or let them continue by themselves."""
        self._ask("hold", {"held": held})

    def decide(self, message_id: str, state: str, *, callbacks: str = "true") -> None:
        """Decide the state of a message. ``callbacks`` can be "lost", "twice" or "late" too."""
        self._ask("decide", {"id": message_id, "state": state, "callbacks": callbacks})

    def repeat(self, message_id: str, *, callbacks: str = "true") -> None:
        """Post the present state of a message to its callback once more."""
        self._ask("repeat", {"id": message_id, "callbacks": callbacks})

    def wait_until_idle(self, seconds: float = 10) -> None:
        """Wait until no message will change, and no callback will be posted again."""
        deadline = time.monotonic() + seconds
        while self._ask("idle")["waiting"]:
            if time.monotonic() > deadline:
                raise TimeoutError("The simulator still has messages or callbacks under way.")
            time.sleep(0.01)

    def __enter__(self) -> SimulatorProcess:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def _command(self) -> list[str]:
        options = {"port": self.port, "store": self._store, "token": self._token}
        options["state-delay"] = self._state_delay
        pairs = [*options.items(), *(("profile", profile) for profile in self._profiles)]
        words = [f"--{name}={value}" for name, value in pairs]
        quiet = ["--quiet", "--stop-with-parent"]
        return [sys.executable, "-m", _MODULE, *quiet, *words, *self._arguments]

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with process:  # it closes the pipes
            process.send_signal(number)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()

    def _remove_store(self) -> None:
        if self._directory:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = self._store = ""

    def _ask(self, name: str, payload: dict[str, Any] | None = None) -> Any:
        return ask(self.url, name, payload)


def _environment() -> dict[str, str]:
    """Return an environment in which the child imports the same package."""
    root = str(Path(__file__).resolve().parents[3])
    inherited = os.environ.get("PYTHONPATH", "")
    return {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{inherited}" if inherited else root}


def _read_url(process: subprocess.Popen[bytes]) -> str:
    """Read the first line of output, which has the address."""
    assert process.stdout is not None  # noqa: S101  it is a pipe
    readable, _, _ = select.select([process.stdout], [], [], _START_SECONDS)
    line = process.stdout.readline().decode() if readable else ""
    if "://" not in line:
        raise RuntimeError("The simulator did not start; it says why on standard error.")
    return line.split()[-1]
