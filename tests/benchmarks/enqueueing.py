"""P5: queueing messages, beside django-post_office (a queue of e-mails in the database)."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.util import find_spec

from .harness import Benchmark, empty_tables, use_database

BODY = "Your table is free: come within 15 minutes."


def by_us(count: int) -> float:
    from django_smsww import send_mass_sms

    numbers = [f"+39333{n:07}" for n in range(count)]
    empty_tables()
    begun = time.perf_counter()
    rows = send_mass_sms(BODY, numbers, queue=True)
    assert len(rows) == count
    return count / (time.perf_counter() - begun)


def by_send_many(count: int) -> float:
    from post_office import mail
    from post_office.models import Email

    wanted = [
        {"sender": "a@example.com", "recipients": f"{n}@example.com", "message": BODY}
        for n in range(count)
    ]
    empty_tables()
    begun = time.perf_counter()
    mail.send_many(wanted)
    spent = time.perf_counter() - begun
    assert Email.objects.count() == count
    return count / spent


def by_send(count: int) -> float:
    from post_office import mail

    empty_tables()
    begun = time.perf_counter()
    for n in range(count):
        mail.send(f"{n}@example.com", "a@example.com", message=BODY)
    return count / (time.perf_counter() - begun)


def main() -> None:
    bench = Benchmark("P5", __doc__)
    has_peer = find_spec("post_office") is not None
    with use_database(also=["post_office"] if has_peer else []) as vendor:
        ours = f"send_mass_sms on {vendor}"
        count = bench.size(2000, small=50)
        candidates: dict[str, Callable[[], float]] = {ours: lambda: by_us(count)}
        if has_peer:
            candidates["post_office send_many"] = lambda: by_send_many(count)
            candidates["post_office send"] = lambda: by_send(bench.size(300, small=20))
        rounds = bench.rounds(candidates, unit="messages/s")
    if not has_peer:
        bench.skip("beside post_office", "pip install django-post_office")
    for name, limit in (("send_many", 2), ("send", 8)) if has_peer else ():
        ratio = rounds.ratio(ours, f"post_office {name}")
        bench.at_least(f"rate / post_office {name} on {vendor}", ratio, limit)
    bench.finish()


if __name__ == "__main__":
    main()
