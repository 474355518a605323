"""How fast requests begin: no faster than the account allows, whoever else is sending.

All workers of an account share one timeline, in a counter: whoever wants to send reserves the next
piece of it, as long as its requests need at the account's rate. So they never overlap, on however
many hosts they run, and in one process the requests are evenly spread. A gateway that answers 429
moves the end of the timeline away, and with it everybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from math import ceil

from ..backends.base import BaseSMSBackend
from ..clock import database_now, elapsed
from ..exceptions import SMSError, SMSUnavailable
from ..models import Counter
from ..models.counters import CounterQuerySet
from .limits import window_of

DAY = 86_400
TICKS = 10_000
"""How many a second has; the counter of a day counts them."""

AHEAD = 1.0
"""For how many seconds at most a worker reserves, and what has a place there is SENDING."""

SHORTEST_REST, LONGEST_REST = 5.0, 3600.0
"""Seconds to rest after a 429 that names no time, and the longest that one may name."""


class Pace:
    """The places of one delivery in the timeline of its account."""

    def __init__(self, backend: BaseSMSBackend, using: str) -> None:
        self._backend, self._using = backend, using
        self._scope = f"rate:{backend.rate_scope}"
        self._resumes = 0.0

    @property
    def wait(self) -> float:
        """For how many seconds there will be no place."""
        return max(0.0, self._resumes - elapsed())

    def places(self, wanted: int) -> Sequence[float]:
        """Reserve places for up to so many requests; return when each may begin, by `elapsed()`.

        There are none while the next one is further away than a worker may reserve.
        """
        rate = self._backend.rate_limit
        if not rate and not self._backend.delivers_on_commit:
            return [0.0] * wanted
        if self.wait:
            return []
        count = min(wanted, max(1, int(AHEAD * rate))) if rate else wanted
        now = elapsed()
        begins = self._reserve(count / rate if rate else 0.0)
        if begins > AHEAD:
            self._resumes = now + begins - AHEAD / 2
            return []
        return [now + begins + (n / rate if rate else 0.0) for n in range(count)]

    def look(self) -> None:
        """Find out for how long there is no place."""
        self.places(0)

    def rest(self, seconds: float) -> None:
        """Let nobody begin a request for so many seconds."""
        now = database_now(self._using)
        # A rest that reaches into the next day has to be known there, too.
        for moment in (now, now + timedelta(seconds=seconds)):
            begins, _ends = window_of(moment, DAY)
            until = (now - begins).total_seconds() + seconds
            self._counters.put_off(self._scope, begins, ceil(until * TICKS))

    def _reserve(self, seconds: float) -> float:
        """Reserve so many seconds; return in how many they begin, or the wait if that is long."""
        now = database_now(self._using)
        begins, _ends = window_of(now, DAY)
        today = (now - begins).total_seconds()
        earliest, latest = max(today, self._overhang), today + AHEAD
        start = self._counters.reserve(
            self._scope, begins, int(earliest * TICKS), int(latest * TICKS), ceil(seconds * TICKS)
        )
        return max(0.0, start / TICKS - today)

    @property
    def _overhang(self) -> float:
        """For how many seconds of a day the pieces of the day before may still be under way."""
        rate = self._backend.rate_limit
        return AHEAD + max(AHEAD, 1 / rate) if rate else 0.0

    @property
    def _counters(self) -> CounterQuerySet:
        return Counter.objects.using(self._using)


def rest_after(error: SMSError | None) -> float:
    """Return for how many seconds the gateway asks all requests of the account to wait."""
    if not isinstance(error, SMSUnavailable) or error.status != 429:
        return 0.0
    return min(error.retry_after or SHORTEST_REST, LONGEST_REST)
