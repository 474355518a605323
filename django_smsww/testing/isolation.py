"""Keep tests from seeing the messages of other tests.

Outside a Django project it imports nothing but the standard library.
"""

from __future__ import annotations

import sys


def start_afresh() -> None:
    """Forget the messages, refused callbacks and queue failures of earlier tests."""
    # A module that nobody has imported has nothing to forget.
    if locmem := sys.modules.get("django_smsww.backends.locmem"):
        locmem.outbox.clear()
    if refusals := sys.modules.get("django_smsww.callbacks.refusals"):
        refusals.forget()
    if task_queues := sys.modules.get("django_smsww.worker.task_queues"):
        task_queues.forget_failures()
