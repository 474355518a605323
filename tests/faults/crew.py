"""Worker processes by the dozen: one process has Django loaded, and forks the others.

To start Python and Django takes longer than most of these tests. Nothing else is shared: each
worker has its own connections, as the parent never opens one.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import traceback
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from ..support.waiting import await_true

ROOT = Path(__file__).parents[2]
SECONDS = 60
"""No worker may live longer, unless its SECONDS say so."""


class Crew:
    """The processes of one project: `with Crew(database, gateway, folder) as crew:`."""

    def __init__(self, database: str, gateway: str, folder: Path, **environment: str) -> None:
        self.folder, self.count = folder, 0
        self.members: list[Member] = []
        # Kept bound, and closed to callers, so that nobody else gets the port of the door.
        self.address = socket.socket()
        self.address.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.address.bind(("127.0.0.1", 0))
        port = self.address.getsockname()[1]
        self.environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.faults.settings",
            "DATABASE_URL": database,
            "GATEWAY": gateway,
            "CALLBACKS": f"http://127.0.0.1:{port}/callback/",
            "RETRIES": "2",
            "TIMEOUT": "1",
            **environment,
        }

    def __enter__(self) -> Crew:
        self.parent = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.crew"],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *exception: object) -> None:
        self.parent.stdin.close()
        self.parent.wait(10)
        self.parent.stdout.close()
        self.address.close()

    def ask(self, **question: Any) -> Any:
        self.parent.stdin.write(json.dumps(question) + "\n")
        self.parent.stdin.flush()
        return json.loads(self.parent.stdout.readline())

    def start(self, *actions: list[str], **environment: str) -> Member:
        """Start a worker that does these, one after the other."""
        self.count += 1
        output = self.folder / f"worker-{self.count}"
        output.touch()
        pid = self.ask(actions=actions, environment=environment, output=str(output))
        self.members.append(Member(self, pid, output))
        return self.members[-1]

    def dismiss(self) -> None:
        """Kill whoever is still at work, so that nobody meddles with the next test."""
        for member in list(self.members):
            member.kill()

    def run(self, *actions: list[str], **environment: str) -> str:
        """Have a worker do these, and return what it wrote."""
        return self.start(*actions, **environment).wait()


class Member:
    """A worker that was started."""

    def __init__(self, crew: Crew, pid: int, output: Path) -> None:
        self.crew, self.pid, self.output = crew, pid, output

    def end(self) -> int:
        """Wait for its end, and return its exit code, or minus the signal that killed it."""
        self.crew.members.remove(self)
        return self.crew.ask(wait=self.pid)

    def wait(self) -> str:
        """Wait for its end, which must be a good one, and return what it wrote."""
        status, text = self.end(), self.output.read_text()
        assert status == 0, text
        return text

    def kill(self) -> bool:
        """Kill it, and tell whether it was not over yet."""
        os.kill(self.pid, signal.SIGKILL)
        return self.end() == -signal.SIGKILL

    def stop(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def wait_until_stopped(self) -> None:
        """Wait until each of its threads has stopped: they do so one after the other."""
        await_true(lambda: _states_of(self.pid) == {"T"}, self.output.read_text)

    def wait_until_it_says(self, word: str) -> None:
        await_true(lambda: word in self.output.read_text(), self.output.read_text)


def _states_of(pid: int) -> set[str]:
    asked = subprocess.run(
        ["ps", "-L", "-o", "state=", "-p", str(pid)], capture_output=True, text=True
    )
    return set(asked.stdout.split())


# The parent of the workers


def _fork(question: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    with open(question["output"], "a") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    signal.alarm(int(question["environment"].get("SECONDS", SECONDS)))
    status = 1
    try:
        _work(question)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _work(question: dict[str, Any]) -> None:
    worker = _worker()
    os.environ.update(question["environment"])
    worker.prepare()
    worker.act(question["actions"])


def _worker() -> Any:
    """Return the module that says what these workers can do."""
    return import_module(os.environ.get("WORKER", "tests.faults.worker"))


def _answer(question: dict[str, Any], living: set[int]) -> int:
    if "wait" in question:
        living.discard(question["wait"])
        return os.waitstatus_to_exitcode(os.waitpid(question["wait"], 0)[1])
    pid = _fork(question)
    living.add(pid)
    return pid


def _load() -> None:
    """Load what each worker needs, so that none of them has to."""
    import django
    from django.core.management import load_command_class

    django.setup()
    from django_smsww import sms_backends
    from django_smsww.callbacks import views  # noqa: F401 - loaded for the door

    assert sms_backends["default"]
    for name in ("smsww_worker", "smsww_sync"):
        load_command_class("django_smsww", name)
    _worker()


def main() -> None:
    _load()
    living: set[int] = set()
    for line in sys.stdin:
        print(json.dumps(_answer(json.loads(line), living)), flush=True)
    for pid in living:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
