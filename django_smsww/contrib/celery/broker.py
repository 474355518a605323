"""Connections to the broker that fail soon: a sender must not wait for a broker.

By default Celery tries to reach a broker for ever, or as long as the project allows its own tasks.
The rows are safe without a broker, so one second is enough here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery import Celery
from kombu import Connection, Producer
from kombu.pools import producers

TIMEOUT_SECONDS = 1.0
"""For the connection, and for each answer of the broker."""

RETRY_ONCE = {"max_retries": 1, "interval_start": 0, "interval_step": 0}
"""The broker may have closed a pooled connection."""

_TRANSPORT_OPTIONS = {
    **RETRY_ONCE,
    "max_retries": 0,
    # For Redis; other transports ignore them.
    "socket_connect_timeout": TIMEOUT_SECONDS,
    "socket_timeout": TIMEOUT_SECONDS,
}
_REDIS_PRIORITIES = (0, 3, 6)
_OTHER_PRIORITIES = (9, None, None)


@contextmanager
def producer_of(app: Celery) -> Iterator[Producer]:
    """Return a pooled producer of this app that fails within about a second.

    Raises:
        kombu.exceptions.OperationalError: the broker cannot be reached.
    """
    connection = app.connection_for_write(
        connect_timeout=TIMEOUT_SECONDS, transport_options=dict(_TRANSPORT_OPTIONS)
    )
    with producers[connection].acquire(block=True, timeout=TIMEOUT_SECONDS) as producer:
        yield producer


def priority_for(connection: Connection, priority: int) -> int | None:
    """Translate the priority of a message for this broker; None is the broker's default.

    Redis: 0 is the default and the most urgent. RabbitMQ: 0 is the default and the least urgent,
    and only queues that were declared with `x-max-priority` have priorities.
    """
    is_redis = connection.transport.driver_type == "redis"
    urgent, normal, low = _REDIS_PRIORITIES if is_redis else _OTHER_PRIORITIES
    if priority > 0:
        return urgent
    return low if priority < 0 else normal


def options_for(producer: Producer, priority: int) -> dict[str, Any]:
    """Return the arguments of `apply_async` for messages of this priority."""
    return {
        "producer": producer,
        "priority": priority_for(producer.connection, priority),
        "retry": True,
        "retry_policy": dict(RETRY_ONCE),
    }
