"""A way to the broker that is given up soon: whoever sends a message must not wait for it.

Left alone, Celery tries to reach a broker that is down for ever, or for as long as the project has
allowed its own tasks. The rows are safe without any broker, so a second is enough here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery import Celery
from kombu import Connection, Producer
from kombu.pools import producers

SECONDS = 1.0
"""How long to wait for a connection, or for a broker that is connected and does not answer."""

ONCE_MORE = {"max_retries": 1, "interval_start": 0, "interval_step": 0}
"""A pooled connection may be one that the broker has closed since."""

_GIVE_UP_SOON = {
    **ONCE_MORE,
    "max_retries": 0,
    # Of Redis; other transports do not look at them.
    "socket_connect_timeout": SECONDS,
    "socket_timeout": SECONDS,
}
_REDIS_PRIORITIES = (0, 3, 6)
_OTHER_PRIORITIES = (9, None, None)


@contextmanager
def producer_of(app: Celery) -> Iterator[Producer]:
    """Return a pooled producer of this app that gives up soon.

    Raises:
        OperationalError: of kombu, the broker is not to be reached.
    """
    connection = app.connection_for_write(
        connect_timeout=SECONDS, transport_options=dict(_GIVE_UP_SOON)
    )
    with producers[connection].acquire(block=True, timeout=SECONDS) as producer:
        yield producer


def priority_for(connection: Connection, priority: int) -> int | None:
    """Return what this broker calls the priority of a message, or None for its default.

    To Redis 0 is the most urgent, and the default. RabbitMQ has the greatest first, and 0 by
    default, and looks at it in queues that were declared with `x-max-priority`.
    """
    is_redis = connection.transport.driver_type == "redis"
    urgent, normal, low = _REDIS_PRIORITIES if is_redis else _OTHER_PRIORITIES
    if priority > 0:
        return urgent
    return low if priority < 0 else normal


def options_for(producer: Producer, priority: int) -> dict[str, Any]:
    """Return how a task with messages of this priority is published."""
    return {
        "producer": producer,
        "priority": priority_for(producer.connection, priority),
        "retry": True,
        "retry_policy": dict(ONCE_MORE),
    }
