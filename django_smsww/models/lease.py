"""A lease: until when a worker keeps the rows it took, and until when it may start to send them."""

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
        until: by the database's clock; after it any worker may lease the rows.
        deadline: by this process's `elapsed()`, which no change of the clock moves; no
            request starts after it, so that the last one has ended well before `until`.
    """

    until: datetime
    deadline: float
    token: UUID = field(default_factory=uuid4)

    @classmethod
    def begin(cls, using: str) -> Lease:
        # Our own clock first: if the process is stopped in between, the deadline is early.
        deadline = next_deadline()
        return cls(database_now(using) + timedelta(seconds=SECONDS), deadline)

    def renewed(self, using: str) -> Lease:
        fresh = Lease.begin(using)
        return Lease(fresh.until, fresh.deadline, self.token)

    @property
    def is_half_gone(self) -> bool:
        return elapsed() >= self.deadline
