"""P6: draining a queue at the threads' limit, beside django-post_office at its best."""

import time
from collections.abc import Callable
from importlib.util import find_spec

from .harness import Benchmark, empty_tables, use_database
from .provider import provider
from .sending import LATENCY, THREADS, options

BODY = "Your table is free: come within 15 minutes."
SETTINGS = {
    "BACKENDS": {"default": "tests.benchmarks.mail.ProviderBackend"},
    "BATCH_SIZE": 100_000,
    "THREADS_PER_PROCESS": THREADS,
    "LOG_LEVEL": 0,
}


def by_us(count: int) -> float:
    from django_smsww import send_mass_sms, sms_backends
    from django_smsww.models import Message
    from django_smsww.worker.queue import deliver_due

    empty_tables()
    send_mass_sms(BODY, [f"+39333{n:07}" for n in range(count)], queue=True, preflight=False)
    begun, taken = time.perf_counter(), 0
    while some := deliver_due(sms_backends["default"], using="default"):
        taken += some
    spent = time.perf_counter() - begun
    assert taken == Message.objects.filter(state="NEW").count() == count
    return count / spent


def by_post_office(count: int) -> float:
    """With a backend that asks the same provider in the same way: the queue is what differs."""
    from post_office import mail
    from post_office.models import Email

    empty_tables()
    mail.send_many(
        [
            {"sender": "a@example.com", "recipients": f"{n}@example.com", "message": BODY}
            for n in range(count)
        ]
    )
    begun = time.perf_counter()
    mail.send_queued(processes=1)
    spent = time.perf_counter() - begun
    assert Email.objects.filter(status=0).count() == count
    return count / spent


def main() -> None:
    bench = Benchmark("P6", __doc__)
    count = bench.size(2000, small=64)
    has_peer = find_spec("post_office") is not None
    apps = ["post_office"] if has_peer else []
    with (
        provider(LATENCY) as url,
        use_database(SMSWW={"default": options(url)}, POST_OFFICE=SETTINGS, also=apps) as vendor,
    ):
        ours = f"deliver_due on {vendor}"
        candidates: dict[str, Callable[[], float]] = {ours: lambda: by_us(count)}
        if has_peer:
            candidates["post_office send_queued"] = lambda: by_post_office(count)
        rounds = bench.rounds(candidates, unit="messages/s")
    bench.at_least(f"of threads / latency on {vendor}", rounds.over(ours, THREADS / LATENCY), 0.95)
    if has_peer:
        ratio = rounds.ratio(ours, "post_office send_queued")
        bench.at_least(f"rate / post_office on {vendor}", ratio, 1.1)
    else:
        bench.skip("beside post_office", "pip install django-post_office")
    bench.finish()


if __name__ == "__main__":
    main()
