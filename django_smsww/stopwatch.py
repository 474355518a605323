"""The clock by which this process measures what is left of a time-out or of a lease."""

from __future__ import annotations

import time


def elapsed() -> float:
    """Return seconds that nobody can set back or forth, from some moment in the past.

    On Linux `time.monotonic()` stands still while the machine is suspended. A worker would wake up
    and believe that its lease, which others have taken over long ago, had just begun; so this is
    the clock that counts the time of a suspension too. Elsewhere there is none in Python.
    """
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)
