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

# No proxy: the environment may name one for the real gateway, and the simulator is on this machine.
# No check of the certificate: our own process uses it, and it may be for any name.
_opener = build_opener(ProxyHandler({}), HTTPSHandler(context=ssl._create_unverified_context()))  # noqa: S323


def ask(url: str, name: str, payload: dict[str, Any] | None = None) -> Any:
    """GET ``/_simulator/{name}``, or POST the payload if there is one. Return the JSON.

    Raise OSError if the simulator does not answer, and HTTPError if it refuses the request.
    """
    body = None if payload is None else json.dumps(payload).encode()
    headers = {"Content-Type": "application/json"}
    request = Request(f"{url}/_simulator/{name}", body, headers)  # noqa: S310  http on loopback
    with _opener.open(request, timeout=30) as response:
        return json.load(response)


class SimulatorProcess:
    """A simulator in a child process: ``with SimulatorProcess(state_delay=0.02) as simulator:``.

    The simulator ends when your process ends, even if your process is killed.

    Args:
        state_delay: seconds between two states of a message.
        port: the port, or 0 for any free port.
        store: the path of an SQLite file, or "" for a temporary file, which `stop` deletes.
        token: the token that clients must send. If this argument is "", every token is valid
            except "wrong" and expired tokens.
        profiles: names of profiles. Each profile changes the simulator's behaviour in one point.
        arguments: more arguments of the command line.
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
        """Start the simulator, and wait until it listens."""
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
        """End the process if it is running, and delete a temporary store."""
        self._end(signal.SIGTERM)
        self._remove_store()

    def kill(self) -> None:
        """Kill the process with SIGKILL. The next `start` uses the same port and store."""
        self._end(signal.SIGKILL)

    def ledger(self) -> list[dict[str, Any]]:
        """List every accepted message, oldest first. A message accepted twice is listed twice."""
        return self._ask("ledger")

    def requests(self) -> list[dict[str, Any]]:
        """List every POST of a message with its outcome: "accepted", "refused" or "validated"."""
        return self._ask("requests")

    def reset(self) -> None:
        """Delete all records, restore initial credit and profiles, and undo `arm` and `hold`."""
        self._ask("reset", {})

    def set_profile(self, *names: str) -> None:
        """Activate these profiles, now and after the next `start`. Deactivate all others."""
        self._ask("profile", {"profiles": list(names)})
        self._profiles = names

    def set_account(self, **values: Any) -> None:
        """Set `credit` (in EUR), `blocklisted` (True or False), or both."""
        self._ask("account", values)

    def arm(self, ending: str, *, times: int = 1, method: str = "POST") -> None:
        """Answer the next requests like requests for a number with this ending, such as "914".

        ``times`` is the number of these requests. With the method "CONNECT", the next connections
        fail instead. Then ``ending`` names the kind of failure: "handshake" or "reset".
        """
        self._ask("next", {"ending": ending, "times": times, "method": method})

    def messages(self) -> list[dict[str, Any]]:
        """List the 300 newest messages with their callbacks."""
        return self._ask("messages")["messages"]

    def hold(self, held: bool = True) -> None:
        """Stop the automatic changes of state (True), or continue them (False)."""
        self._ask("hold", {"held": held})

    def decide(self, message_id: str, state: str, *, callbacks: str = "true") -> None:
        """Set a final state or PENDING, end automatic changes of the message, and post callbacks.

        `callbacks` is "true", "twice", "late" or "lost". With "lost", no callback is posted.
        """
        self._ask("decide", {"id": message_id, "state": state, "callbacks": callbacks})

    def repeat(self, message_id: str, *, callbacks: str = "true") -> None:
        """Post callbacks with the current state of a message. For ``callbacks``, see `decide`."""
        self._ask("repeat", {"id": message_id, "callbacks": callbacks})

    def wait_until_idle(self, seconds: float = 10) -> None:
        """Wait until all changes of state and all callbacks are done, or raise TimeoutError."""
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
    """Return `os.environ` with a PYTHONPATH that lets the child process import this package."""
    root = str(Path(__file__).resolve().parents[3])
    inherited = os.environ.get("PYTHONPATH", "")
    return {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{inherited}" if inherited else root}


def _read_url(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None  # noqa: S101  it is a pipe
    readable, _, _ = select.select([process.stdout], [], [], _START_SECONDS)
    line = process.stdout.readline().decode() if readable else ""
    if "://" not in line:
        raise RuntimeError("The simulator did not start; it says why on standard error.")
    return line.split()[-1]
