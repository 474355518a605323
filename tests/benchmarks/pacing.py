"""P1, S9: ten thousand messages over TLS leave at the gateway's limit, from a fifth of a core."""

from .harness import Benchmark, empty_tables, stopwatch, use_database
from .provider import provider
from .sending import BODY, options, some_numbers
from .transport import real_bundle

LATENCY, THREADS = 0.15, 64
LIMIT = 10_000 / 60


def run(count: int) -> tuple[float, float]:
    """Return messages a second, and the part of a core that this process used."""
    from django_smsww import iter_send
    from django_smsww.sms import SMS

    empty_tables()
    texts = (SMS(BODY, number) for number in some_numbers(count))
    with stopwatch() as watch:
        assert all(row.state == "NEW" for row in iter_send(texts))
    return count / watch.wall, watch.cpu / watch.wall


def main() -> None:
    bench = Benchmark("P1", __doc__, count=1)
    count = bench.size(10_000, small=100)
    cores = []

    def send() -> float:
        rate, core = run(count)
        cores.append(core)
        return rate

    with real_bundle(), provider(LATENCY, tls=True) as url:
        chosen = options(url)
        chosen["OPTIONS"] |= {"rate_limit": "10000/m", "concurrency": THREADS}  # type: ignore[operator]
        with use_database(SMSWW={"default": chosen}) as vendor:
            name = f"iter_send on {vendor}"
            rounds = bench.rounds({name: send}, unit="messages/s")
    bench.at_least(f"of the rate limit on {vendor}", rounds.over(name, LIMIT), 0.95)
    bench.at_most(f"of a core on {vendor}", cores, 0.20)
    bench.finish()


if __name__ == "__main__":
    main()
