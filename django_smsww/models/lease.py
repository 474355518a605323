"""The lease by which a worker reserves rows for a limited time."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from ..clock import database_now, elapsed

SECONDS = 300
"""How many seconds a lease lasts. A request must take at most half of this time."""


def longest_request() -> timedelta:
    """Return the time within which each request ends: half a lease."""
    return timedelta(seconds=SECONDS) / 2


def next_deadline() -> float:
    """Return the `deadline` for a lease that begins now."""
    return elapsed() + longest_request().total_seconds()


@dataclass(frozen=True, slots=True)
class Lease:
    """The right of one worker to send some rows, for a limited time.

    Attributes:
        until: when the lease ends, by the database's clock. Then any worker can lease the rows.
        deadline: no request starts after this time. So the last request ends before the lease ends.
            The time is measured by `elapsed()`, which ignores changes of the system clock.
    """

    until: datetime
    deadline: float
    token: UUID = field(default_factory=uuid4)

    @classmethod
    def begin(cls, using: str) -> Lease:
        # Read our own clock first: if the process is suspended in between, the deadline is early.
        deadline = next_deadline()
        return cls(database_now(using) + timedelta(seconds=SECONDS), deadline)

    def renewed(self, using: str) -> Lease:
        fresh = Lease.begin(using)
        return Lease(fresh.until, fresh.deadline, self.token)

    @property
    def is_half_gone(self) -> bool:
        return elapsed() >= self.deadline
