"""The broker, the database or the gateway goes away, and comes back."""

import time

import pytest

from ..faults.test_database import server  # noqa: F401 - a fixture
from ..support.waiting import await_true
from .conftest import GRACE, Race

pytestmark = pytest.mark.broker
MINUTES = 60


def test_without_its_broker_an_engine_delays_and_loses_nothing(race):
    worker = race.start("celery")
    race.redis.stop()
    said = race.run(["send_many", "celery", "0", "300"])
    assert race.states() == {"QUEUED": 300}
    assert said.count("did not take") == 1
    assert "300 messages of 'default': OperationalError" in said
    time.sleep(GRACE)  # until the sweep may take them
    race.run(["deliver"])
    race.wait_until_over(300)

    race.redis.start()
    race.run(["send_many", "celery", "300", "100"])
    race.wait_until_over(400)
    assert race.taken_by("celery") == 100
    race.settle().check()
    assert race.account().accepted == 400
    assert worker in race.crew.members  # it has outlived its broker


class TestDatabase:
    @pytest.fixture
    def database(self, server):  # noqa: F811
        return f"postgres://postgres@127.0.0.1:{server.port}/postgres"

    def test_after_the_database_was_restarted_in_the_middle_all_goes_on(self, race, server):  # noqa: F811
        service, celery = race.start("service"), race.start("celery")
        tasks = race.start("db_worker")
        for engine, first in (("tasks", "0"), ("celery", "100"), ("deliver", "200")):
            race.run(["send_many", engine, first, "100"])
        await_true(lambda: len(race.simulator.ledger()) > 30)
        server.kill()
        await_true(lambda: "The database is away" in service.output.read_text())
        server.start()
        tasks.kill()  # whatever watches over it starts it again: it does not outlive its database
        race.start("db_worker")
        race.wait_until_over(300)
        assert {service, celery} <= {*race.crew.members}
        account = race.settle()
        account.check()
        assert account.asked == 300


def pass_an_hour(race: Race) -> None:
    """Let an hour pass, in which the queue is swept each five minutes."""
    race.run(*[["pass_time", "300"], ["deliver"]] * (MINUTES // 5))


def test_after_the_gateway_was_down_for_an_hour_nothing_stale_is_sent(race):
    race.simulator.kill()
    race.run(["send_many", "deliver", "0", "50", "10"], ["send_many", "deliver", "50", "50"])
    pass_an_hour(race)
    assert race.states() == {"FAILED": 50, "QUEUED": 50}
    assert set(race.run(["show"]).split()) >= {"expired_unsent"}

    race.simulator.start()
    pass_an_hour(race)
    race.wait_until_over(100)
    account = race.settle()
    account.check()
    assert (account.accepted, account.not_sent) == (50, 50)
