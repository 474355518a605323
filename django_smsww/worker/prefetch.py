"""How many rows a worker has in SENDING: those that become UNKNOWN if it is killed.

Threads go on while rows are claimed and answers are written down, so a few more rows have to be
there than requests are under way. How many more grows with the square of the threads: twice as
many threads end twice as many requests in the same time, and a batch for them takes twice as long.
"""

from __future__ import annotations

FEW = 32
"""With fewer threads than this, some wait for the database at times, to have less at risk."""


def batch(threads: int) -> int:
    """Return how many rows are claimed, or answers written down, at a time.

    Each claim and each writing has its price, however few rows it is for.
    """
    return max(threads // 2, _ended_meanwhile(threads), 1)


def most(threads: int) -> int:
    """Return how many rows may be in SENDING.

    Those beyond the threads are a batch of answers that is being written down, the next batch that
    is being claimed, and as many again, since no two batches take the same time.
    """
    return threads + max(threads // 2, 3 * _ended_meanwhile(threads))


def _ended_meanwhile(threads: int) -> int:
    """Return how many requests end, at most, while a batch is claimed or written down."""
    return min(threads * threads // FEW, threads)
