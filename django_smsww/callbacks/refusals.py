"""Count refused and unread callbacks in memory, and write the counts down for `smsww_status`.

A refused request must not make us write to the database: anybody can send one. So the counts wait
for the next authentic callback. Unread callbacks are authentic, so their count is written at once.
"""

from __future__ import annotations

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
"""The reason under which authentic callbacks are counted that tell no state that we know."""

refused: Counter[str] = Counter()
"""Refusals of this process since it started, by reason."""

unwritten: Counter[str] = Counter()
"""Those of them that are not in the database yet."""

_written_at = -inf
_lock = Lock()


def count(reason: str) -> int:
    """Count a refusal, and return the number of those for this reason since the start."""
    with _lock:
        refused[reason] += 1
        unwritten[reason] += 1
        return refused[reason]


def write(environment: str, *, at_once: bool = False) -> None:
    """Write the counts down, at most once a minute."""
    try:
        for reason, times in _due(at_once).items():
            heartbeats = Heartbeat.objects.using(router.db_for_write(Heartbeat))
            heartbeats.beat(environment, f"refused:{reason}", times=times)
    except StorageError as error:
        logger.error("Refused callbacks not counted: %s", type(error).__name__)


def forget() -> None:
    """Start anew, so that no test writes down the refusals of another one."""
    global _written_at
    with _lock:
        refused.clear()
        unwritten.clear()
        _written_at = -inf


def _due(at_once: bool) -> dict[str, int]:
    """Return the counts that are to be written now, and count from zero again."""
    global _written_at
    with _lock:
        if not unwritten or not (at_once or monotonic() > _written_at + WRITE_EVERY_SECONDS):
            return {}
        counts = dict(unwritten)
        unwritten.clear()
        _written_at = monotonic()
    return counts
