"""P3: a mass send is as fast as its threads, and hardly slower than one without a database."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from .harness import Benchmark, empty_tables, use_database
from .provider import provider

LATENCY, THREADS = 0.05, 32
BODY = "Your table is free: come within 15 minutes."


def options(url: str) -> dict[str, object]:
    return {
        "BACKEND": "django_smsww.backends.openapi.SMSBackend",
        "OPTIONS": {
            "token": "benchmark",
            "host": url,
            "callback_url": "https://example.com/sms/callback/",
            "concurrency": THREADS,
        },
    }


def with_database(numbers: list[str]) -> float:
    """Return how many messages a second are sent and stored."""
    from django_smsww import send_mass_sms

    empty_tables()
    begun = time.perf_counter()
    rows = send_mass_sms(BODY, numbers, preflight=False)
    spent = time.perf_counter() - begun
    assert all(row.state == "NEW" for row in rows), {row.state for row in rows}
    return len(numbers) / spent


def without_database(numbers: list[str]) -> float:
    """The same backend and as many threads, and nothing is written down."""
    from django_smsww import SMS, sms_backends

    backend = sms_backends["default"]
    texts = [backend.prepare(SMS(BODY, number)) for number in numbers]
    begun = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as threads:
        results = list(threads.map(backend.send, texts))
    assert all(result.provider_id for result in results)
    return len(numbers) / (time.perf_counter() - begun)


def some_numbers(count: int) -> list[str]:
    return [f"+39333{n:07}" for n in range(count)]


def main() -> None:
    bench = Benchmark("P3", __doc__)
    numbers = some_numbers(bench.size(2000, small=64))
    with provider(LATENCY) as url, use_database(SMSWW={"default": options(url)}) as vendor:
        from django_smsww.gateway.http import close_connections

        candidates: dict[str, Callable[[], float]] = {
            f"send_mass_sms on {vendor}": lambda: with_database(numbers),
            "the same sender without a database": lambda: without_database(numbers),
        }
        without_database(numbers[: 2 * THREADS])
        rounds = bench.rounds(candidates, unit="messages/s")
        close_connections()
    ours, bare = candidates
    limit = 0.88 if vendor == "postgresql" else 0.80
    bench.at_least(f"of threads / latency on {vendor}", rounds.over(ours, THREADS / LATENCY), limit)
    bench.at_least("of the same without a database", rounds.ratio(ours, bare), 0.92)
    bench.finish()


if __name__ == "__main__":
    main()
