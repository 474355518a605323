"""A Redis server of one's own, to be killed."""

import shutil
import subprocess

import pytest

from ..support.waiting import await_true, free_port, is_open


class Redis:
    """A server that keeps nothing: its messages are gone when it was stopped."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = shutil.which("redis-server")
        if program is None:
            pytest.fail("This suite needs Redis: apt-get install redis-server.")
        place = ["--port", str(self.port), "--bind", "127.0.0.1"]
        keeping = ["--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen([program, *place, *keeping], stdout=subprocess.DEVNULL)
        await_true(lambda: is_open(self.port))

    def stop(self) -> None:
        """End it at once, as a power cut would; harmless if it has ended."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None
