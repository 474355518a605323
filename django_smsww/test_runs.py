"""In a test run no message leaves the process: aliases deliver to the outbox, as with mail.

It imports nothing but the standard library, for pytest loads it in every project of the machine.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

_open: Counter[str] = Counter()


def is_isolated() -> bool:
    """Tell whether this process runs tests, and no test has asked for real sending.

    Django marks the process in `setup_test_environment()`, which pytest-django and the parallel
    workers of Django's runner call too, and removes the mark in `teardown_test_environment()`.
    Where that mark cannot be seen, messages are sent. The mark is not `mail.outbox`, which some
    projects set in development, nor `sys.argv`, which a worker of its own process does not have.
    """
    if _open["real"]:
        return False
    state = getattr(sys.modules.get("django.test.utils"), "_TestState", None)
    return bool(_open["declared"]) or hasattr(state, "saved_data")


@contextmanager
def declared() -> Iterator[None]:
    """Treat this process as a test run, also under a runner that Django does not know."""
    begin("declared")
    try:
        yield
    finally:
        end("declared")


def begin(name: str) -> None:
    """Begin a block that is "declared" a test run, or that sends "real" messages."""
    _open[name] += 1


def end(name: str) -> None:
    _open[name] -= 1
