"""S4: queueing many messages, beside django-post_office (a queue of e-mails in the database)."""

import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec

from django_smsww import numbers

from .harness import Benchmark, empty_tables, use_database
from .singles import server_seconds

BODY = "Your table is free: come within 15 minutes."
Clock = Callable[[], float]


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and of the database's for its connection."""
    return time.process_time() + server_seconds()


def rate(call: Callable[[], object], count: int, clock: Clock) -> float:
    empty_tables()
    numbers._parse.cache_clear()  # each round reads its numbers for the first time
    begun = clock()
    call()
    return count / (clock() - begun)


def by_mass(count: int, clock: Clock) -> float:
    from django_smsww import send_mass_sms

    recipients = [f"+39333{n:07}" for n in range(count)]
    return rate(partial(send_mass_sms, BODY, recipients, queue=True), count, clock)


def by_messages(count: int, clock: Clock) -> float:
    from django_smsww import SMS, send_messages

    messages = [SMS(f"{BODY} {n}", f"+39333{n:07}") for n in range(count)]
    return rate(partial(send_messages, messages, queue=True), count, clock)


def by_send_many(count: int, clock: Clock) -> float:
    from post_office import mail

    wanted = [
        {"sender": "a@example.com", "recipients": f"{n}@example.com", "message": BODY}
        for n in range(count)
    ]
    return rate(partial(mail.send_many, wanted), count, clock)


def main() -> None:
    bench = Benchmark("S4", __doc__)
    has_peer = find_spec("post_office") is not None
    with use_database(also=["post_office"] if has_peer else []) as vendor:
        count = bench.size(2000, small=50)
        calls = {"send_mass_sms": by_mass, "send_messages": by_messages}
        if has_peer:
            calls["send_many"] = by_send_many
        clocks = {"wall": time.perf_counter, "CPU": cpu_seconds}
        rounds = bench.rounds(
            {
                f"{name}, {what} on {vendor}": partial(call, count, clock)
                for name, call in calls.items()
                for what, clock in clocks.items()
            },
            unit="messages/s",
        )
    if not has_peer:
        bench.skip("beside post_office", "pip install django-post_office")
    for name, limit in (("send_mass_sms", 1.8), ("send_messages", 1.1)) if has_peer else ():
        for what in clocks:
            where = f"{what} on {vendor}"
            ratio = rounds.ratio(f"{name}, {where}", f"send_many, {where}")
            bench.at_least(f"{name} / send_many, {where}", ratio, limit)
    bench.finish()


if __name__ == "__main__":
    main()
