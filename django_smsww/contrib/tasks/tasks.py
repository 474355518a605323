"""The queue `enqueue`, and the task that it enqueues."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django_smsww.worker.task_queues import blocks_of, deliver_block

from .compat import task

HIGHEST = 100
"""The greatest priority of a task; the lowest is its negative."""


@task()
def deliver(alias: str, primary_keys: list[int]) -> None:
    """Send the messages of this list that still wait."""
    deliver_block(alias, primary_keys)


def enqueue(alias: str, primary_keys: Sequence[int]) -> None:
    """Enqueue committed messages, up to 250 a task, with the priority of each message."""
    for priority, block in blocks_of(primary_keys):
        _at(priority).enqueue(alias, block)


def _at(priority: int) -> Any:
    if not deliver.get_backend().supports_priority:
        return deliver
    return deliver.using(priority=max(-HIGHEST, min(priority, HIGHEST)))
