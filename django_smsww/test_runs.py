"""Detect test runs. In a test run, messages go to a list (the outbox) and are not sent.

This module imports only the standard library, because pytest loads the module even without Django.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

_open: Counter[str] = Counter()


def is_isolated() -> bool:
    """Whether this process runs tests, and no test is inside `real_sms()`.

    A test run lasts from Django's `setup_test_environment()` to `teardown_test_environment()`.
    A `with declared()` block is a test run, too. Other signs of a test run are not reliable: some
    projects set `mail.outbox` in development, and parallel test processes have another `sys.argv`.
    """
    if _open["real"]:
        return False
    state = getattr(sys.modules.get("django.test.utils"), "_TestState", None)
    return bool(_open["declared"]) or hasattr(state, "saved_data")


@contextmanager
def declared() -> Iterator[None]:
    """Treat this process as a test run, even if its test runner does not know Django."""
    begin("declared")
    try:
        yield
    finally:
        end("declared")


def begin(name: str) -> None:
    """Begin a period that lasts until `end(name)`.

    `name` is "declared" for a test run, or "real" for real sending during a test run.
    """
    _open[name] += 1


def end(name: str) -> None:
    _open[name] -= 1


def start_afresh() -> None:
    """Clear the outbox, the counts of refused callbacks, and the failures of task queues."""
    # A module that is not imported has nothing to forget.
    if locmem := sys.modules.get("django_smsww.backends.locmem"):
        locmem.outbox.clear()
    if refusals := sys.modules.get("django_smsww.callbacks.refusals"):
        refusals.forget()
    if task_queues := sys.modules.get("django_smsww.worker.task_queues"):
        task_queues.forget_failures()
