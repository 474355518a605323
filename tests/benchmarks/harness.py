"""What the benchmarks share: rounds that take turns, medians with their spread, and verdicts.

Machines are shared and their speed wanders, so no figure is compared with one of another run. The
candidates of a comparison take turns, several rounds of them, and what counts is the median of
the ratios within each round:

    from .harness import Benchmark, use_database

    def main() -> None:
        bench = Benchmark("P4", __doc__)             # reads --small and --rounds
        with use_database():                         # a new, migrated, empty one
            rounds = bench.rounds({"ours": flush, "bulk_update": reference})
        bench.at_most("result writes / bulk_update", rounds.ratio("ours", "bulk_update"), 1 / 5)
        bench.finish()                               # the table, "met" or "short" for each

A candidate is a function without arguments that returns its figure: seconds, or messages a
second. With `--small` there are two rounds, `bench.size(2000, small=50)` is 50, and the verdicts
mean nothing: it shows that a benchmark still runs.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

Candidate = Callable[[], float]
Ratio = list[float]
"""The ratio of two candidates in each of the rounds."""


@dataclass
class Rounds:
    """The figures of each candidate, a round at a time."""

    figures: dict[str, list[float]]

    def ratio(self, one: str, other: str) -> Ratio:
        """Return how many times the figure of the other one has, round by round."""
        pairs = zip(self.figures[one], self.figures[other], strict=True)
        return [mine / theirs for mine, theirs in pairs]

    def over(self, name: str, limit: float) -> Ratio:
        """Return which part of a fixed limit the candidate reaches, round by round."""
        return [figure / limit for figure in self.figures[name]]


@dataclass
class Benchmark:
    """One run of a benchmark: its options, and what is to be said in the end."""

    name: str
    title: str
    unit: str = ""
    small: bool = False
    count: int = 5
    verdicts: list[tuple[str, str, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        options = argparse.ArgumentParser(description=self.title)
        options.add_argument("--small", action="store_true", help="only try whether it runs")
        options.add_argument("--rounds", type=int, metavar="N", help="how many (default: 5)")
        chosen = options.parse_args()
        self.small = chosen.small
        self.count = chosen.rounds or (2 if self.small else self.count)
        print(self.title.strip().splitlines()[0], flush=True)

    def size(self, full: int, *, small: int) -> int:
        return small if self.small else full

    def has_postgresql(self, verdict: str) -> bool:
        """Set Django up; where DATABASE_URL names no PostgreSQL, skip the verdict and finish."""
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.benchmarks.settings")
        import django

        django.setup()
        from django.db import connection

        if connection.vendor == "postgresql":
            return True
        self.skip(verdict, "DATABASE_URL names no PostgreSQL")
        self.finish()
        return False

    def rounds(self, candidates: Mapping[str, Candidate], unit: str = "") -> Rounds:
        """Let the candidates take turns, the first of a round another one each time."""
        figures: dict[str, list[float]] = {name: [] for name in candidates}
        names = list(candidates)
        for number in range(self.count):
            for name in names[number % len(names) :] + names[: number % len(names)]:
                figures[name].append(candidates[name]())
        for name, values in figures.items():
            print(f"  {name:<44} {spread(values)} {unit or self.unit}", flush=True)
        return Rounds(figures)

    def at_least(self, what: str, values: Sequence[float], limit: float) -> None:
        self._judge(what, values, f">= {limit:.3g}", statistics.median(values) >= limit)

    def at_most(self, what: str, values: Sequence[float], limit: float) -> None:
        self._judge(what, values, f"<= {limit:.3g}", statistics.median(values) <= limit)

    def skip(self, what: str, why: str) -> None:
        """Say what cannot be measured here."""
        self.verdicts.append((what, "-", "", f"skipped: {why}"))

    def finish(self) -> None:
        """Print the verdicts."""
        for what, measured, limit, verdict in self.verdicts:
            print(f"{self.name} {what:<52} {measured:<26} {limit:<9} {verdict}")
        sys.stdout.flush()

    def _judge(self, what: str, values: Sequence[float], limit: str, is_met: bool) -> None:
        self.verdicts.append((what, spread(values), limit, "met" if is_met else "short"))


def spread(values: Sequence[float]) -> str:
    """Return the median, and in parentheses the least and the most."""
    median = statistics.median(values)
    return f"{median:.4g} ({min(values):.4g} to {max(values):.4g})"


@dataclass
class Watch:
    """What the seconds of `with stopwatch() as watch:` were spent on."""

    wall: float = 0.0
    cpu: float = 0.0
    """Of this process, all of its threads."""


@contextmanager
def stopwatch() -> Iterator[Watch]:
    watch, wall, cpu = Watch(), time.perf_counter(), time.process_time()
    yield watch
    watch.wall, watch.cpu = time.perf_counter() - wall, time.process_time() - cpu


@contextmanager
def use_database(*, also: Sequence[str] = (), **settings: object) -> Iterator[str]:
    """Set Django up with a new, migrated, empty database, and yield its vendor.

    That is a SQLite file in WAL mode, or one beside the database that DATABASE_URL names. The
    settings are those of `tests.benchmarks.settings`, with these changed; `also` names more apps.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.benchmarks.settings")
    with tempfile.TemporaryDirectory(prefix="smsww-benchmark-") as folder:
        os.environ["BENCHMARK_FOLDER"] = folder
        import django
        from django.conf import settings as project

        for name, value in settings.items():
            setattr(project, name, value)
        project.INSTALLED_APPS = [*project.INSTALLED_APPS, *also]
        django.setup()
        from django.db import connection

        before = connection.settings_dict["NAME"]
        connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
        try:
            yield connection.vendor
        finally:
            connection.creation.destroy_test_db(before, verbosity=0)


def empty_tables() -> None:
    """Forget all rows, so that each candidate begins with an empty database."""
    from django.core.management import call_command

    call_command("flush", verbosity=0, interactive=False, inhibit_post_migrate=True)
