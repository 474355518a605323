"""A lease: for how long one worker may send the rows it took, and until when it may begin to."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from ..clock import database_now, elapsed

SECONDS = 300
"""How long a lease lasts. A request must not take longer than half of it."""


def next_deadline() -> float:
    """Return the `deadline` of a lease that begins now."""
    return elapsed() + SECONDS / 2


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to send a block of rows.

    Attributes:
        until: by the database's clock; past it the rows are anybody's.
        deadline: by this process's `elapsed()`, which no change of the clock moves; no
            request starts after it, so that the last one has ended well before `until`.
    """

    until: datetime
    deadline: float
    token: UUID = field(default_factory=uuid4)

    @classmethod
    def begin(cls, using: str) -> Lease:
        # Our own clock first: a process that is stopped in between has the shorter time.
        deadline = next_deadline()
        return cls(database_now(using) + timedelta(seconds=SECONDS), deadline)

    def renewed(self, using: str) -> Lease:
        fresh = Lease.begin(using)
        return Lease(fresh.until, fresh.deadline, self.token)

    @property
    def is_half_gone(self) -> bool:
        return elapsed() >= self.deadline
