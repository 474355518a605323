"""Somebody who has never seen this package, and does what the documents say."""

import os
import re
import shlex
import subprocess
import sys
from functools import partial
from pathlib import Path

from ..support.waiting import await_true, free_port, is_open

ROOT = Path(__file__).parents[2]
WAIT = 30
_SERVERS = {"runserver": ("8000", "--noreload"), "smsww_simulator": ("8026", "--port")}
"""Commands that run in a terminal of their own, their ports, and what comes before the port."""


def section(document: str, heading: str) -> str:
    """Return what stands below a heading of a document, up to the next one."""
    text = (ROOT / document).read_text("utf-8")
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


class Newcomer:
    """A new project in a folder, and the processes that its owner has started.

    The ports of the documents may be taken on this machine: others are used in their place.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {"8000": free_port(), "8026": free_port()}
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        kept = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environment = kept | {"PATH": path, "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "error"}

    @property
    def site(self) -> str:
        return f"http://127.0.0.1:{self.ports['8000']}"

    @property
    def simulator(self) -> str:
        return f"http://127.0.0.1:{self.ports['8026']}"

    def write(self, text: str) -> None:
        """Put each block that names a file into that file, below what is there."""
        for block in blocks(text, "python"):
            if name := re.match(r"# (\S+\.py)\n", block):
                with (self.folder / name[1]).open("a", encoding="utf-8") as file:
                    file.write(f"\n\n{self._with_my_ports(block)}")

    def do(self, line: str, *, code: int = 0) -> str:
        """Do what a line at the prompt says; return what it wrote. It must exit with this code."""
        line = self._with_my_ports(line)
        words = shlex.split(line)
        if words[-1] in _SERVERS:
            self._start(words[-1], words)
        elif words[-1] == "createsuperuser":
            self._run([*words, "--noinput", "--username", "ada", "--email", "ada@example.com"])
        elif words[:2] != ["pip", "install"]:  # what is tested is installed
            return self._run(words, code)
        return ""

    def stop(self, name: str) -> None:
        process = self.running.pop(name)
        process.terminate()
        process.wait(WAIT)

    def log(self, name: str) -> str:
        """Return what a process in the background has written."""
        return (self.folder / f"{name}.log").read_text("utf-8")

    def _with_my_ports(self, line: str) -> str:
        for port, mine in self.ports.items():
            line = line.replace(f":{port}", f":{mine}")
        return line

    def _run(self, words: list[str], code: int = 0) -> str:
        done = subprocess.run(
            words,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def _start(self, name: str, words: list[str]) -> None:
        number, option = _SERVERS[name]
        port = self.ports[number]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [*words, option, str(port)],
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        await_true(lambda: is_open(port), partial(self.log, name), WAIT)
