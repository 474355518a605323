"""P10: counting segments takes microseconds, and importing the package milliseconds."""

import subprocess
import sys
import timeit

from django_smsww.segments import count_segments

from .harness import Benchmark

SHORT = "The report that you asked for is ready: sign in to read it. " * 3
LONG = "The report that you asked for costs 12 € [all taxes included]. " * 17
TIME_TO_IMPORT = """
import sys, time
import requests, rest_framework, django.db.models  # what a project has loaded anyway
started = time.perf_counter()
import django_smsww
print(time.perf_counter() - started)
"""


def microseconds(text: str, times: int) -> float:
    return timeit.timeit(lambda: count_segments(text), number=times) / times * 1e6


def milliseconds_to_import() -> float:
    command = [sys.executable, "-c", TIME_TO_IMPORT]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return float(said) * 1e3


def main() -> None:
    bench = Benchmark("P10", __doc__)
    times = bench.size(20_000, small=100)
    rounds = bench.rounds(
        {
            "160 characters": lambda: microseconds(SHORT[:160], times),
            "1,000 characters": lambda: microseconds(LONG[:1000], times),
        },
        unit="us",
    )
    loading = bench.rounds({"import django_smsww": milliseconds_to_import}, unit="ms")
    bench.at_most("us for 160 characters", rounds.figures["160 characters"], 5)
    bench.at_most("us for 1,000 characters", rounds.figures["1,000 characters"], 20)
    bench.at_most("ms to import the package", loading.figures["import django_smsww"], 20)
    bench.finish()


if __name__ == "__main__":
    main()
