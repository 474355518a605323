"""P10: memory stays flat, however many messages `iter_send` sends."""

import tracemalloc
from collections.abc import Iterator

from .harness import Benchmark, empty_tables, use_database

BODY = "Your table is free: come within 15 minutes."
DUMMY = {"default": {"BACKEND": "django_smsww.backends.dummy.SMSBackend", "OPTIONS": {}}}


def peak(count: int) -> float:
    """Return the peak of what is allocated while so many are sent, in MB."""
    from django_smsww import SMS, iter_send
    from django_smsww.models import Message

    empty_tables()
    texts: Iterator[SMS] = (SMS(BODY, f"+39333{n:07}") for n in range(count))
    tracemalloc.start()
    for _ in iter_send(texts):
        pass
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert Message.objects.filter(state="NEW").count() == count
    return most / 1e6


def main() -> None:
    bench = Benchmark("P10", __doc__, count=1)
    # Three times the numbers that stay in memory when they are read (`django_smsww.numbers`), so
    # that all of these are new in both runs: at 40,000 the peak is 4.4 MB, from 60,000 on 4.5.
    few, many = bench.size(60_000, small=500), bench.size(100_000, small=1_000)
    with use_database(SMSWW=DUMMY):
        peak(few)  # what is loaded on the way stays
        rounds = bench.rounds(
            {f"{few:,} messages": lambda: peak(few), f"{many:,} messages": lambda: peak(many)},
            unit="MB at the peak",
        )
    ratio = rounds.ratio(f"{many:,} messages", f"{few:,} messages")
    bench.at_most(f"memory for {many:,} / for {few:,}", ratio, 1.1)
    bench.finish()


if __name__ == "__main__":
    main()
