"""S7, S8: the CPU of a drain and of a mass send, and a drain on a busy machine."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from .harness import Benchmark, empty_tables, use_database
from .provider import provider
from .queueing import SETTINGS, by_post_office, by_us
from .sending import BODY, LATENCY, options, some_numbers, without_database
from .singles import server_seconds

BARE = "the same sender without a database"


def cpu_of(action: Callable[[], object], count: int) -> float:
    """Return the CPU of an action, of this process and of the database, in us a message."""
    begun = time.process_time() + server_seconds()
    action()
    return (time.process_time() + server_seconds() - begun) / count * 1e6


def drain(numbers: list[str]) -> float:
    from django_smsww import send_mass_sms, sms_backends
    from django_smsww.models import Message
    from django_smsww.worker.queue import deliver_due

    def deliver_all() -> None:
        while deliver_due(sms_backends["default"], using="default"):
            pass

    empty_tables()
    send_mass_sms(BODY, numbers, queue=True, preflight=False)
    spent = cpu_of(deliver_all, len(numbers))
    assert Message.objects.filter(state="NEW").count() == len(numbers)
    return spent


def mass_send(numbers: list[str]) -> float:
    from django_smsww import send_mass_sms

    empty_tables()
    return cpu_of(lambda: send_mass_sms(BODY, numbers, preflight=False), len(numbers))


def bare(numbers: list[str]) -> float:
    return cpu_of(lambda: without_database(numbers), len(numbers))


@contextmanager
def busy_loops(count: int) -> Iterator[None]:
    """Keep so many cores busy with other work."""
    loop = [sys.executable, "-c", "while True: pass"]
    loops = [subprocess.Popen(loop) for _ in range(count)]
    try:
        yield
    finally:
        for each in loops:
            each.kill()
            each.wait()


def main() -> None:
    bench = Benchmark("S7", __doc__)
    numbers = some_numbers(bench.size(2000, small=64))
    has_peer = find_spec("post_office") is not None
    apps = ["post_office"] if has_peer else []
    with (
        provider(LATENCY) as url,
        use_database(SMSWW={"default": options(url)}, POST_OFFICE=SETTINGS, also=apps) as vendor,
    ):
        bare(numbers)
        candidates: dict[str, Callable[[], float]] = {
            "deliver_due": lambda: drain(numbers),
            "send_mass_sms": lambda: mass_send(numbers),
            BARE: lambda: bare(numbers),
        }
        rounds = bench.rounds(candidates, unit="us of CPU")
        for name, limit in (("deliver_due", 1.7), ("send_mass_sms", 2.0)):
            bench.at_most(f"CPU of {name} on {vendor} / bare", rounds.ratio(name, BARE), limit)
        if has_peer:
            peers: dict[str, Callable[[], float]] = {
                "ours": lambda: by_us(len(numbers)),
                "post_office": lambda: by_post_office(len(numbers)),
            }
            with busy_loops(2):
                rounds = bench.rounds(peers, unit="messages/s beside two busy loops")
            ratio = rounds.ratio("ours", "post_office")
            bench.at_least(f"rate / post_office, busy, on {vendor}", ratio, 1.0)
    if not has_peer:
        bench.skip("beside post_office", "pip install django-post_office")
    bench.finish()


if __name__ == "__main__":
    main()
