"""The function `enqueue` for the option `queue`, and the task that sends messages.

Django 6.0 and later contain the tasks framework. Django 5.2 needs the package django-tasks.
"""

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from django_smsww.worker.task_queues import blocks_of, deliver_block

try:
    from django.tasks import task
except ImportError:  # Django 5.2
    try:
        from django_tasks import task  # type: ignore[no-redef]
    except ImportError as error:
        raise ImproperlyConfigured(
            "django_smsww.contrib.tasks needs Django 6.0, or the package django-tasks: "
            "pip install 'django-smsww[tasks]'."
        ) from error

HIGHEST = 100
"""The highest priority of a task. The lowest priority is -100."""


@task()
def deliver(alias: str, primary_keys: list[int]) -> None:
    """Send the messages that have these primary keys and are still QUEUED."""
    deliver_block(alias, primary_keys)


def enqueue(alias: str, primary_keys: Sequence[int]) -> None:
    """Create tasks that send the messages with these primary keys.

    The caller must have committed the rows. Each task gets up to 250 messages of one priority.
    If the tasks backend supports priorities, the task gets the priority of its messages.
    """
    for priority, block in blocks_of(primary_keys):
        _at(priority).enqueue(alias, block)


def _at(priority: int) -> Any:
    if not deliver.get_backend().supports_priority:
        return deliver
    return deliver.using(priority=max(-HIGHEST, min(priority, HIGHEST)))
