"""The rate limit of an account: requests of all processes and hosts start at even intervals.

A counter in the database holds the time up to which requests are reserved. To reserve requests, a
worker moves the counter forward by the time that these requests take at the allowed rate. So no two
workers reserve the same time. After an HTTP 429, the counter moves to the end of the back-off, so
all workers wait.
"""

from collections.abc import Sequence
from datetime import timedelta
from math import ceil

from ..backends.base import BaseSMSBackend
from ..clock import DAY_SECONDS, database_now, elapsed, window_of
from ..models import Counter
from ..models.counters import TICKS_PER_SECOND, CounterQuerySet

RESERVE_SECONDS = 1.0
"""The maximum time in seconds for which a worker reserves requests in advance.

Rows are already SENDING while they wait, and become UNKNOWN if the worker dies.
"""


class RateLimit:
    def __init__(self, backend: BaseSMSBackend, using: str) -> None:
        self._backend, self._using = backend, using
        self._scope = f"rate:{backend.rate_scope}"
        self._resumes_at = 0.0

    @property
    def wait(self) -> float:
        """The number of seconds until this worker may reserve requests again."""
        return max(0.0, self._resumes_at - elapsed())

    @property
    def rests_by(self) -> str:
        """The `scope` of the counter that stores the end of a pause after an HTTP 429.

        A single send must check this counter. Return "" if it need not check a counter: if the
        backend does not really send, or if the alias has a rate limit, so that `reserve()` has
        already checked the counter.
        """
        if self._backend.rate_limit or not self._backend.delivers_on_commit:
            return ""
        return self._scope

    def reserve(self, wanted: int) -> Sequence[float]:
        """Reserve up to `wanted` requests, and return their start times as values of `elapsed()`.

        If the next free time is more than RESERVE_SECONDS ahead, reserve nothing and return an
        empty list. Then the property `wait` says how long to wait.
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
        """Read the counter, so that `wait` is correct even before the first request."""
        self.reserve(0)

    def back_off(self, seconds: float) -> None:
        """Make all workers of the account wait for this number of seconds."""
        now = database_now(self._using)
        # Each day has its own counter: a back-off past midnight is written to both.
        for moment in (now, now + timedelta(seconds=seconds)):
            begins, _ends = window_of(moment, DAY_SECONDS)
            until = (now - begins).total_seconds() + seconds
            self._counters.put_off(self._scope, begins, ceil(until * TICKS_PER_SECOND))

    def _reserve(self, seconds: float) -> float:
        """Reserve the next free period of this length; return the seconds until it begins.

        If the result is more than RESERVE_SECONDS, nothing was reserved.
        """
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
        """How many seconds after midnight the counter of a new day begins.

        Each day has a counter of its own. Shortly before midnight, workers still use the old day's
        counter, and can reserve times after midnight with it. The new day's counter begins after
        the last of these times.
        """
        rate = self._backend.rate_limit
        return RESERVE_SECONDS + max(RESERVE_SECONDS, 1 / rate) if rate else 0.0

    @property
    def _counters(self) -> CounterQuerySet:
        return Counter.objects.using(self._using)
