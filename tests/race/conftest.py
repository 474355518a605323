"""A project with a database, a gateway, a broker and workers of every kind."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from django.conf import settings

from django_smsww.contrib.simulator.process import SimulatorProcess

from ..faults.accounts import Account, balance
from ..faults.crew import Crew, Member
from ..support.databases import new_database
from ..support.waiting import await_true
from .redis import Redis

LEASE = 4
"""Seconds; half of it is the longest that a request may take."""

THREADS = 4
"""How many requests each worker has under way."""

GRACE = 5
"""Seconds for which the sweep leaves a message to its engine."""

UNDER_WAY = {"QUEUED", "SENDING"}
WORKERS = {
    "SECONDS": "3600",
    "LEASE": str(LEASE),
    "CONCURRENCY": str(THREADS),
    "GRACE": str(GRACE),
    "TIMEOUT": "1.5",
}


@dataclass
class Race:
    """The project and who takes part."""

    crew: Crew
    simulator: SimulatorProcess
    redis: Redis
    database: str

    workers: list[tuple[str, Member]] = field(default_factory=list)

    def start(self, kind: str) -> Member:
        worker = self.crew.start([kind], **WORKERS)
        self.workers.append((kind, worker))
        return worker

    def run(self, *actions: list[str]) -> str:
        return self.crew.run(*actions, **WORKERS)

    def taken_by(self, kind: str) -> int:
        """Count the rows that workers of this kind have leased."""
        said = [member.output.read_text() for name, member in self.workers if name == kind]
        return sum(
            int(number) for text in said for number in re.findall(r"^took (\d+)", text, re.M)
        )

    def states(self) -> dict[str, int]:
        """Count the rows by state."""
        import psycopg  # which only those have who run this suite

        with psycopg.connect(self.database) as connection:
            query = "SELECT state, count(*) FROM django_smsww_message GROUP BY state"
            return dict(connection.execute(query).fetchall())

    def count_sent(self) -> int:
        """Count the rows that are no longer on their way."""
        return sum(number for state, number in self.states().items() if state not in UNDER_WAY)

    def is_over(self, count: int) -> bool:
        """Tell whether so many rows are there and no longer on their way."""
        return self.count_sent() >= count

    def wait_until_over(self, count: int, seconds: float = 60) -> None:
        await_true(lambda: self.is_over(count), lambda: str(self.states()), seconds)

    def account(self) -> Account:
        rows = json.loads(self.run(["rows"]).splitlines()[-1])
        return balance(rows, self.simulator.ledger(), self.simulator.requests())

    def settle(self) -> Account:
        """Ask the gateway what became of the rest, and return the accounts."""
        self.run(["sync"])
        return self.account()


@pytest.fixture
def redis() -> Iterator[Redis]:
    server = Redis()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def database(tmp_path) -> Iterator[str]:
    if not settings.DATABASES["default"]["ENGINE"].endswith("postgresql"):
        pytest.fail("This suite needs PostgreSQL: give its URL in DATABASE_URL.")
    with new_database(tmp_path) as url:
        yield url


@pytest.fixture
def race(redis, database, tmp_path) -> Iterator[Race]:
    environment = {
        "DJANGO_SETTINGS_MODULE": "tests.race.settings",
        "WORKER": "tests.race.worker",
        "BROKER": redis.url,
        "RETRIES": "0",
    }
    with (
        # Nothing is delivered while this lasts: who has accepted what is all that counts here.
        SimulatorProcess(state_delay=3600, arguments=["--latency", "0.02"]) as simulator,
        Crew(database, simulator.url, tmp_path, **environment) as crew,
    ):
        race = Race(crew, simulator, redis, database)
        race.run(["migrate"])
        yield race
        crew.dismiss()
