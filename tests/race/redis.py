"""A Redis server of one's own, to be killed."""

from __future__ import annotations

import shutil
import socket
import subprocess
from contextlib import closing

import pytest

from ..faults.crew import await_true


class Redis:
    """A server that keeps nothing: what it held is gone when it was stopped."""

    def __init__(self) -> None:
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = shutil.which("redis-server")
        if program is None:
            pytest.fail("This suite needs Redis: apt-get install redis-server.")
        words = [
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ]
        self.process = subprocess.Popen([program, *words], stdout=subprocess.DEVNULL)
        await_true(self.answers)

    def answers(self) -> bool:
        with closing(socket.socket()) as connection:
            return connection.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        """End it at once, as a power cut would; harmless if it has ended."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None
