"""Connections to the Celery broker that fail fast, so that a dead broker blocks no call.

By default, Celery never stops trying to connect. In this module, the connection and each answer of
the broker have a timeout of one second. If the broker fails, no message is lost: the messages are
already stored in the database, and the periodic task `sweep` sends them later.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery import Celery
from kombu import Connection, Producer
from kombu.pools import producers

TIMEOUT_SECONDS = 1.0
"""The timeout for the connection to the broker, and for each answer of the broker."""

RETRY_ONCE = {"max_retries": 1, "interval_start": 0, "interval_step": 0}
"""Retry once, without a delay. The retry helps if the broker has closed a pooled connection."""

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
    """Yield a producer that fails after about one second if the broker does not answer.

    Raises:
        kombu.exceptions.OperationalError: the broker cannot be reached.
    """
    connection = app.connection_for_write(
        connect_timeout=TIMEOUT_SECONDS, transport_options=dict(_TRANSPORT_OPTIONS)
    )
    with producers[connection].acquire(block=True, timeout=TIMEOUT_SECONDS) as producer:
        yield producer


def priority_for(connection: Connection, priority: int) -> int | None:
    """Return the broker's priority for a message's priority, or None for the broker's default.

    With Redis, 0 is the default and the most urgent priority. With RabbitMQ, 0 is the default and
    the least urgent priority. RabbitMQ has priorities only in queues with `x-max-priority`.
    """
    is_redis = connection.transport.driver_type == "redis"
    urgent, normal, low = _REDIS_PRIORITIES if is_redis else _OTHER_PRIORITIES
    if priority > 0:
        return urgent
    return low if priority < 0 else normal


def options_for(producer: Producer, priority: int) -> dict[str, Any]:
    """Return the keyword arguments of `apply_async` for messages of this priority."""
    return {
        "producer": producer,
        "priority": priority_for(producer.connection, priority),
        "retry": True,
        "retry_policy": dict(RETRY_ONCE),
    }
