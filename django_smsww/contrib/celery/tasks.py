"""The engine, and the tasks that Celery's workers run."""

from __future__ import annotations

import time
from collections.abc import Sequence

from celery import shared_task
from django.db import InterfaceError, OperationalError, router

from django_smsww.backends.handler import sms_backends
from django_smsww.models import Message
from django_smsww.worker.queue import deliver_due
from django_smsww.worker.task_queues import blocks_of, deliver_block

from .broker import options_for, producer_of

SWEEP = 50.0
"""Seconds after which a sweep begins with no other block: the next one comes in a minute."""


@shared_task(
    # Nobody asks for the result, and a result backend that is down would block whoever sends.
    ignore_result=True,
    # A task that was begun may be given out again: leases keep it from sending twice.
    acks_late=True,
    reject_on_worker_lost=True,
    # The database is away.
    autoretry_for=(OperationalError, InterfaceError),
    retry_backoff=5,
    retry_backoff_max=300,
    max_retries=10,
)
def deliver(alias: str, primary_keys: list[int]) -> None:
    """Send these messages, as far as nobody else has."""
    deliver_block(alias, primary_keys)


@shared_task(ignore_result=True)
def sweep(alias: str = "default") -> None:
    """Send what is due and was not sent by others; for `beat_schedule`, each minute.

    It stands for `smsww_worker --once`, where that is not run.
    """
    backend, ends = sms_backends[alias], time.monotonic() + SWEEP
    while time.monotonic() < ends and deliver_due(backend, using=router.db_for_write(Message)):
        pass


def enqueue(alias: str, primary_keys: Sequence[int]) -> None:
    """Enqueue committed messages, up to 250 a task, and the urgent first.

    Raises:
        OperationalError: of kombu, within two seconds or so, if the broker is not to be reached.
    """
    if deliver.app.conf.task_always_eager:
        deliver_block(alias, primary_keys)
        return
    with producer_of(deliver.app) as producer:
        for priority, block in blocks_of(primary_keys):
            deliver.apply_async((alias, block), **options_for(producer, priority))
