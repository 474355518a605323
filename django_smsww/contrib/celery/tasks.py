"""The function `enqueue` for the option `queue`, and the tasks that Celery workers run."""

import time
from collections.abc import Sequence

from celery import shared_task
from django.db import InterfaceError, OperationalError, router

from django_smsww.backends.handler import sms_backends
from django_smsww.models import Message
from django_smsww.worker.queue import deliver_due
from django_smsww.worker.task_queues import blocks_of, deliver_block

from .broker import options_for, producer_of

SWEEP_SECONDS = 50.0
"""After this time, a sweep takes no more messages, because a new sweep starts each minute."""


@shared_task(
    # Nobody asks for the result, and a result backend that is down would block the sender.
    ignore_result=True,
    # Celery may run a task again that a lost worker had begun: leases prevent a second sending.
    acks_late=True,
    reject_on_worker_lost=True,
    # The database is away: try again later.
    autoretry_for=(OperationalError, InterfaceError),
    retry_backoff=5,
    retry_backoff_max=300,
    max_retries=10,
)
def deliver(alias: str, primary_keys: list[int]) -> None:
    """Send each of these messages if it is still QUEUED, not leased, and not postponed."""
    deliver_block(alias, primary_keys)


@shared_task(ignore_result=True)
def sweep(alias: str = "default") -> None:
    """Send due messages that no other worker has sent. The project runs this task each minute."""
    backend, ends = sms_backends[alias], time.monotonic() + SWEEP_SECONDS
    while time.monotonic() < ends and deliver_due(backend, using=router.db_for_write(Message)):
        pass


def enqueue(alias: str, primary_keys: Sequence[int]) -> None:
    """Create tasks that send the messages with these primary keys, the most urgent messages first.

    The rows of the messages must be committed already. Each task gets up to 250 messages of the
    same priority.

    Raises:
        kombu.exceptions.OperationalError: the broker was not reached within about two seconds.
    """
    if deliver.app.conf.task_always_eager:
        deliver_block(alias, primary_keys)
        return
    with producer_of(deliver.app) as producer:
        for priority, block in blocks_of(primary_keys):
            deliver.apply_async((alias, block), **options_for(producer, priority))
