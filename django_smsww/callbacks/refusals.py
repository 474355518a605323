"""Count refused and unreadable callbacks in memory, and write the counts to the database later.

Anybody can send a request that the view refuses, so a refusal writes nothing to the database. The
next callback with our signature writes the counts, if the last write was more than a minute ago. A
probe, or a callback without a known state, always writes the counts.
"""

import logging
from collections import Counter
from math import inf
from threading import Lock
from time import monotonic

from django.db import Error as StorageError
from django.db import router

from ..models import Heartbeat

logger = logging.getLogger("django_smsww")

WRITE_EVERY_SECONDS = 60

UNREAD = "unread"
"""The reason under which callbacks with our signature, but no known state, are counted."""

refused: Counter[str] = Counter()
"""The number of refusals for each reason, since this process started."""

unwritten: Counter[str] = Counter()
"""The number of refusals for each reason that are not in the database yet."""

_written_at = -inf
_lock = Lock()


def count(reason: str) -> int:
    """Count a refusal. Return the number of refusals with this reason since the process started."""
    with _lock:
        refused[reason] += 1
        unwritten[reason] += 1
        return refused[reason]


def write(environment: str, *, at_once: bool = False) -> None:
    """Write the counts if the last write was more than a minute ago, or if `at_once` is True.

    A database error is logged, not raised.
    """
    try:
        for reason, times in _due(at_once).items():
            heartbeats = Heartbeat.objects.using(router.db_for_write(Heartbeat))
            heartbeats.beat(environment, f"refused:{reason}", times=times)
    except StorageError as error:
        logger.error("Refused callbacks not counted: %s", type(error).__name__)


def forget() -> None:
    """Reset all counts, so that no test writes the counts of an earlier test."""
    global _written_at
    with _lock:
        refused.clear()
        unwritten.clear()
        _written_at = -inf


def _due(at_once: bool) -> dict[str, int]:
    """Return the unwritten counts and reset them. Return an empty dict if no write is due yet."""
    global _written_at
    with _lock:
        if not unwritten or not (at_once or monotonic() > _written_at + WRITE_EVERY_SECONDS):
            return {}
        counts = dict(unwritten)
        unwritten.clear()
        _written_at = monotonic()
    return counts
