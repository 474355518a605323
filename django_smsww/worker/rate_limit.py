"""The account's rate limit: requests begin evenly spaced, over all processes and hosts.

All workers of an account share one timeline, which a counter in the database holds. A worker
reserves the next piece of it, which is as long as its requests take at the account's rate. So two
workers never have the same piece. A 429 moves the end of the timeline, and so every worker backs
off.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from math import ceil

from ..backends.base import BaseSMSBackend
from ..clock import DAY_SECONDS, database_now, elapsed, window_of
from ..models import Counter
from ..models.counters import TICKS_PER_SECOND, CounterQuerySet

RESERVE_SECONDS = 1.0
"""How far ahead a worker reserves at most; a row with a reserved time is SENDING."""


class RateLimit:
    """The times at which the requests of one worker may begin."""

    def __init__(self, backend: BaseSMSBackend, using: str) -> None:
        self._backend, self._using = backend, using
        self._scope = f"rate:{backend.rate_scope}"
        self._resumes_at = 0.0

    @property
    def wait(self) -> float:
        """Seconds until a request may be reserved again."""
        return max(0.0, self._resumes_at - elapsed())

    @property
    def rests_by(self) -> str:
        """The scope of the counter in which a 429 postpones all requests.

        It is "" if `reserve()` waits for this counter already, or if the backend sends nothing.
        """
        if self._backend.rate_limit or not self._backend.delivers_on_commit:
            return ""
        return self._scope

    def reserve(self, wanted: int) -> Sequence[float]:
        """Reserve up to so many requests; return when each may begin, by `elapsed()`.

        The list is empty while the end of the timeline is too far ahead: see `wait`.
        """
        rate = self._backend.rate_limit
        if not rate and not self._backend.delivers_on_commit:
            return [0.0] * wanted
        if self.wait:
            return []
        count = min(wanted, max(1, int(RESERVE_SECONDS * rate))) if rate else wanted
        now = elapsed()
        begins_in = self._reserve(count / rate if rate else 0.0)
        if begins_in > RESERVE_SECONDS:
            self._resumes_at = now + begins_in - RESERVE_SECONDS / 2
            return []
        return [now + begins_in + (n / rate if rate else 0.0) for n in range(count)]

    def refresh(self) -> None:
        """Read the end of the timeline, so that `wait` is known before the first request."""
        self.reserve(0)

    def back_off(self, seconds: float) -> None:
        """Let no worker of the account begin a request for so many seconds."""
        now = database_now(self._using)
        # A back-off that lasts into the next day must stand in the counter of that day too.
        for moment in (now, now + timedelta(seconds=seconds)):
            begins, _ends = window_of(moment, DAY_SECONDS)
            until = (now - begins).total_seconds() + seconds
            self._counters.put_off(self._scope, begins, ceil(until * TICKS_PER_SECOND))

    def _reserve(self, seconds: float) -> float:
        """Reserve so many seconds; return in how many seconds they begin, or could begin."""
        now = database_now(self._using)
        begins, _ends = window_of(now, DAY_SECONDS)
        today = (now - begins).total_seconds()
        earliest, latest = max(today, self._overhang), today + RESERVE_SECONDS
        ticks = (int(earliest * TICKS_PER_SECOND), int(latest * TICKS_PER_SECOND))
        start = self._counters.reserve(
            self._scope, begins, *ticks, ceil(seconds * TICKS_PER_SECOND)
        )
        return max(0.0, start / TICKS_PER_SECOND - today)

    @property
    def _overhang(self) -> float:
        """For how many seconds of a day requests may begin that were reserved the day before."""
        rate = self._backend.rate_limit
        return RESERVE_SECONDS + max(RESERVE_SECONDS, 1 / rate) if rate else 0.0

    @property
    def _counters(self) -> CounterQuerySet:
        return Counter.objects.using(self._using)
