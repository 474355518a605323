"""P7: several processes drain one queue as many times faster, and nothing is sent twice.

    DATABASE_URL=postgres://… python -m tests.benchmarks.workers [--small]

Each process has few requests under way, and the simulator takes its time over each: so what is
measured is whether the workers keep out of each other's way, and not how many cores there are.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from django_smsww.contrib.simulator.process import SimulatorProcess
from tests.faults.crew import Crew
from tests.support.databases import new_database

from .harness import Benchmark

LATENCY = 0.2
THREADS = 4
PROCESSES = (2, 4)
WORDS = {"CONCURRENCY": str(THREADS), "SECONDS": "600", "TIMEOUT": "10"}


def drain(crew: Crew, simulator: SimulatorProcess, processes: int, each: int) -> float:
    """Let so many processes send so many messages each; return how many left a second."""
    simulator.reset()
    crew.run(["flush"], crew_queue(processes * each), **WORDS)
    began = time.perf_counter()
    workers = [crew.start(["deliver"], **WORDS) for _ in range(processes)]
    for worker in workers:
        worker.wait()
    seconds = time.perf_counter() - began
    references = [line["reference"] for line in simulator.ledger()]
    assert len(references) == len(set(references)) == processes * each, "lost or doubled"
    return processes * each / seconds


def crew_queue(count: int) -> list[str]:
    return ["queue", "0", *["1"] * count]


def main() -> None:
    bench = Benchmark("P7", __doc__ or "")
    if not bench.has_postgresql("speed-up of several processes"):
        return
    each = bench.size(200, small=10)
    with tempfile.TemporaryDirectory(prefix="smsww-benchmark-") as name:
        folder = Path(name)
        words = ["--latency", str(LATENCY)]
        with (
            new_database(folder) as database,
            SimulatorProcess(state_delay=3600, arguments=words) as simulator,
            Crew(database, simulator.url, folder) as crew,
        ):
            crew.run(["migrate"])

            def draining(processes: int) -> Callable[[], float]:
                return lambda: drain(crew, simulator, processes, each)

            rounds = bench.rounds(
                {f"{n} processes": draining(n) for n in (1, *PROCESSES)}, unit="messages/s"
            )
    bench.at_least(
        "of threads/latency, one process", rounds.over("1 processes", THREADS / LATENCY), 0.85
    )
    for n in PROCESSES:
        ratios = [ratio / n for ratio in rounds.ratio(f"{n} processes", "1 processes")]
        bench.at_least(f"speed-up of {n} processes, of {n}", ratios, 0.85)
    bench.finish()


if __name__ == "__main__":
    main()
