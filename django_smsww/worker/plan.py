"""The next step of a worker: send rows, write results, or wait.

If the worker is killed, its SENDING rows become UNKNOWN, so it has few of them. But it has more of
them than threads, so that the threads go on while it claims rows and writes results.
"""

from __future__ import annotations

from dataclasses import dataclass

from .results import FLUSH_ROWS

ROWS_PER_THREAD = 4
"""How many leased rows a worker wants to have for each of its threads."""

LEASE_CHECK_SECONDS = 5.0
"""How long a worker waits at most before it looks at its lease and at suspensions again."""

FEW_THREADS = 32
"""A worker with fewer threads lets some of them wait for the database, to risk fewer rows."""


@dataclass(frozen=True, slots=True)
class Send:
    rows: int


@dataclass(frozen=True, slots=True)
class Write:
    pass


@dataclass(frozen=True, slots=True)
class Wait:
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How many rows a worker has at each stage: leased, sending, and with an unwritten result.

    Attributes:
        send_together: the backend sends several messages with one request.
        flush_in: seconds for which the results may wait for others.
        was_refused: the database has just refused some results.
        pause: seconds until the next row may leave.
    """

    threads: int
    send_together: bool = False
    leased: int = 0
    sending: int = 0
    unwritten: int = 0
    flush_in: float = 0.0
    was_refused: bool = False
    pause: float = 0.0

    @property
    def batch(self) -> int:
        """How many rows to claim, or results to write, in one statement."""
        return max(self.threads // 2, self._ended_meanwhile, 1)

    @property
    def most_sending(self) -> int:
        """How many rows may be SENDING.

        There is one row for each thread, one batch whose results are being written, one batch that
        is being claimed, and one more, since batches take different times.
        """
        return self.threads + max(self.threads // 2, 3 * self._ended_meanwhile)

    @property
    def _ended_meanwhile(self) -> int:
        """How many requests end while the worker claims or writes a batch.

        Twice as many threads end twice as many requests in the same time, and their batch takes
        twice as long. So the number grows with the square of the threads.
        """
        return min(self.threads * self.threads // FEW_THREADS, self.threads)

    @property
    def room(self) -> int:
        """How many rows may be moved to SENDING now."""
        most, batch = self.most_sending, self.batch
        if self.send_together:  # a request for each few rows would be a waste
            most, batch = self.threads * ROWS_PER_THREAD, self.threads
        room = most - self.sending - self.unwritten
        return room if self.leased and not self.pause and room >= batch else 0

    def plan(self) -> Send | Write | Wait:
        """Decide the next step."""
        if self.room:
            return Send(self.room)
        if self.unwritten and self._must_write:
            return Write()
        if self.unwritten:
            return Wait(self.flush_in)
        longest = LEASE_CHECK_SECONDS if self.sending else 0.0
        return Wait(min(self.pause or longest, LEASE_CHECK_SECONDS))

    @property
    def _must_write(self) -> bool:
        """Whether the results can wait no longer, or have nothing to wait for."""
        if not self.flush_in:
            return True
        enough = min(self.batch, FLUSH_ROWS)
        return not self.was_refused and (not self.sending or self.unwritten >= enough)
