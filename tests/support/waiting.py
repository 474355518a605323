"""Waiting for other processes, and the ports that they are given."""

import socket
import time
from collections.abc import Callable


def await_true(
    condition: Callable[[], object], explain: Callable[[], str] = str, seconds: float = 20
) -> None:
    """Wait until a condition is true; where it stays false, fail with the explanation."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, explain()
        time.sleep(0.01)


def free_port() -> int:
    """Return a port of this machine that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def is_open(port: int) -> bool:
    """Tell whether somebody listens at a port of this machine."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
