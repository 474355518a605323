"""Start a simulator as a process of its own, from a test, a script or a demo."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlencode, urlsplit

from .remote import ask

_MODULE = "django_smsww.contrib.simulator"
_START_SECONDS = 20


class SimulatorProcess:
    """A running simulator: ``with SimulatorProcess(pace=0.02) as simulator:``.

    It ends with this process, even if that is killed. After `kill`, `start` begins again with the
    same port and store, as a restarted gateway would. `stop` removes a store that was not named.
    ``arguments`` are further words of its command line.
    """

    def __init__(
        self,
        *,
        pace: float = 0.02,
        port: int = 0,
        store: str | Path = "",
        token: str = "",
        profiles: tuple[str, ...] | list[str] = (),
        arguments: tuple[str, ...] | list[str] = (),
    ) -> None:
        self._port, self._pace, self._token = port, pace, token
        self._profiles, self._arguments = tuple(profiles), tuple(arguments)
        self._store, self._directory = str(store), ""
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    @property
    def pid(self) -> int:
        """The process id, for signals."""
        return self._running().pid

    @property
    def port(self) -> int:
        """The port it listens on, the same after a restart."""
        return self._port

    def start(self) -> SimulatorProcess:
        """Start, and wait until it listens."""
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
        self._port = urlsplit(self.url).port or 0
        return self

    def stop(self) -> None:
        """End it cleanly; harmless when it has ended already."""
        if self._process is not None:
            self._process.terminate()
            self._end(10)
        self._remove_store()

    def kill(self) -> None:
        """End it as a power cut would; the store stays."""
        if self._process is not None:
            self._process.kill()
            self._end(10)

    def ledger(self, reference: str = "") -> list[dict[str, Any]]:
        """List every message that was accepted, as often as it was accepted."""
        query = f"?{urlencode({'reference': reference})}" if reference else ""
        entries: list[dict[str, Any]] = self._ask(f"ledger{query}")
        return entries

    def requests(self) -> list[dict[str, Any]]:
        """List every request for a message: accepted, validated and refused."""
        requests: list[dict[str, Any]] = self._ask("requests")
        return requests

    def reset(self) -> None:
        """Forget everything, and be as at the start."""
        self._ask("reset", {})

    def set_profile(self, *names: str) -> None:
        """Switch on exactly these profiles, also for the next `start`."""
        self._ask("profile", {"profiles": list(names)})
        self._profiles = names

    def set_account(self, **values: Any) -> None:
        """Set credit (in EUR) or blocklisted (true or false)."""
        self._ask("account", values)

    def arm(self, ending: str, *, times: int = 1, method: str = "POST") -> None:
        """Give the next requests the behaviour of a test number, whatever their recipient.

        With the method "CONNECT" and one of accepting.FAULTS, what goes wrong before that.
        """
        self._ask("next", {"ending": ending, "times": times, "method": method})

    def messages(self) -> list[dict[str, Any]]:
        """List the newest messages with their callbacks."""
        found: list[dict[str, Any]] = self._ask("messages")["messages"]
        return found

    def hold(self, held: bool = True) -> None:
        """Let messages stand still until `decide`, or let them go on by themselves."""
        self._ask("hold", {"held": held})

    def decide(self, message_id: str, state: str, *, callbacks: str = "true") -> None:
        """Give a message an outcome; its callback comes, or is "lost", "twice" or "late"."""
        self._ask("decide", {"id": message_id, "state": state, "callbacks": callbacks})

    def repeat(self, message_id: str, *, callbacks: str = "true") -> None:
        """Have the callback of a message come once more."""
        self._ask("repeat", {"id": message_id, "callbacks": callbacks})

    def wait_until_idle(self, seconds: float = 10) -> None:
        """Wait until no message moves any more and every callback was answered or given up."""
        deadline = time.monotonic() + seconds
        while self._ask("idle")["waiting"]:
            if time.monotonic() > deadline:
                raise TimeoutError("The simulator still has messages or callbacks under way.")
            time.sleep(0.01)

    def __enter__(self) -> SimulatorProcess:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _command(self) -> list[str]:
        command = [sys.executable, "-m", _MODULE, "--quiet", "--stop-with-parent"]
        command += ["--port", str(self._port), "--store", self._store, "--pace", str(self._pace)]
        for profile in self._profiles:
            command += ["--profile", profile]
        return [*command, *(["--token", self._token] if self._token else []), *self._arguments]

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("The simulator is not running.")
        return self._process

    def _end(self, seconds: float) -> None:
        process, self._process = self._running(), None
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(seconds)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()

    def _remove_store(self) -> None:
        if self._directory:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = self._store = ""

    def _ask(self, name: str, payload: dict[str, Any] | None = None) -> Any:
        return ask(self.url, name, payload)


def _environment() -> dict[str, str]:
    """Let the child import the very package that started it."""
    root = str(Path(__file__).resolve().parents[3])
    inherited = os.environ.get("PYTHONPATH", "")
    return {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{inherited}" if inherited else root}


def _read_url(process: subprocess.Popen[bytes]) -> str:
    """Read the line that says where the simulator listens."""
    assert process.stdout is not None  # noqa: S101  it is a pipe
    readable, _, _ = select.select([process.stdout], [], [], _START_SECONDS)
    line = process.stdout.readline().decode() if readable else ""
    if "://" not in line:
        raise RuntimeError("The simulator did not start; it says why on standard error.")
    return line.split()[-1]
