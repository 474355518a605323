"""The next step of a worker: send rows, write results, or wait.

If a worker is killed, its SENDING rows become UNKNOWN. So a worker keeps few rows SENDING: up to
four for each thread. One row for each thread would be too few: a thread that has sent its row would
have to wait until the worker has written results and fetched the next row.
"""

from dataclasses import dataclass

from .results import FLUSH_ROWS

ROWS_PER_THREAD = 4
"""The number of leased rows that a worker tries to keep ready for each of its threads."""

LEASE_CHECK_SECONDS = 5.0
"""The maximum time in seconds before a worker checks its lease and the suspensions again."""

FEW_THREADS = 32
"""With fewer threads than this, a worker keeps fewer rows SENDING for each thread."""


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
    """The current work of one worker: rows leased, rows SENDING, and results not yet stored."""

    threads: int
    send_together: bool = False  # the backend sends several messages with one request
    leased: int = 0
    sending: int = 0
    unwritten: int = 0
    flush_in: float = 0.0  # seconds for which the results may wait for others
    was_refused: bool = False  # the database has just refused some results
    pause: float = 0.0  # seconds until the next row may leave

    @property
    def batch(self) -> int:
        """The number of rows or results that the worker waits for before it uses the database."""
        # Half of the rows that are ready for the threads: the other half is sent meanwhile.
        return max(self.threads // 2, 3 * self._ended_meanwhile // 2, 1)

    @property
    def most_sending(self) -> int:
        """The maximum number of rows that may be SENDING.

        Each thread sends one row at a time. The further rows are a reserve: a thread that has
        finished takes its next row from the reserve, and need not wait for the database.
        """
        return self.threads + max(self.threads // 2, 3 * self._ended_meanwhile)

    @property
    def _ended_meanwhile(self) -> int:
        """The estimated number of requests that end during one database statement of the worker.

        With twice as many threads, twice as many requests end per second. A statement then handles
        twice as many rows, and takes twice as long. So the estimate is four times as high. But it
        is never higher than `threads`, because each thread has only one request under way.
        """
        return min(self.threads * self.threads // FEW_THREADS, self.threads)

    @property
    def room(self) -> int:
        most, batch = self.most_sending, self.batch
        if self.send_together:  # few large requests
            most, batch = self.threads * ROWS_PER_THREAD, self.threads
        room = most - self.sending - self.unwritten
        return room if self.leased and not self.pause and room >= batch else 0

    def plan(self) -> Send | Write | Wait:
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
        """Return True if no request runs, if there are many results, or if they have waited long.

        If the database has just refused some results, return True only if they have waited long.
        """
        if not self.flush_in:
            return True
        enough = min(self.batch, FLUSH_ROWS)
        return not self.was_refused and (not self.sending or self.unwritten >= enough)
