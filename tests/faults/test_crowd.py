"""Everybody at once: senders, reconciliations and callbacks, all on the same rows."""

import time
from signal import SIGSTOP

import pytest

from .conftest import everything
from .test_faults import ABOUT_THE_ACCOUNT, FAULTS, OF_ANOTHER, PROFILES

pytestmark = pytest.mark.postgresql
LEAVING = [ending for ending in FAULTS if ending not in (*ABOUT_THE_ACCOUNT, OF_ANOTHER)]


def deadlocks(scene):
    """Return how many transactions the server has had to break off."""
    import psycopg  # only where there is such a server

    query = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    with psycopg.connect(scene.crew.environment["DATABASE_URL"]) as database:
        return database.execute(query).fetchone()[0]


@pytest.mark.parametrize("profile", PROFILES if everything() else [""])
def test_two_reconciliations_and_four_senders_lose_and_double_nothing(scene, profile):
    before = deadlocks(scene)
    scene.open_door()
    scene.send("1")
    scene.crew.run(scene.queue(*LEAVING, *["2"] * 60, *LEAVING))
    crowd = [scene.crew.start(["deliver"], CONCURRENCY="4", LIMIT="10") for _ in range(4)]
    crowd += [scene.crew.start(*[["sync"]] * 8) for _ in range(2)]
    for member in crowd:
        member.wait()
    scene.crew.run(["outlive"], ["hurry"], ["deliver"])
    scene.send("3")
    assert scene.settle("a crowd").accepted > 80
    assert deadlocks(scene) == before


def test_who_is_stopped_while_it_writes_results_down_keeps_nobody_waiting(scene):
    """Its rows are SENDING, and locked: the others go on, and settle them when it is over."""
    scene.send("1")
    stopped = scene.crew.start(
        scene.queue(*["2"] * 4), ["deliver"], STEP="flushing", SIGNAL=str(int(SIGSTOP)), LEASE="2"
    )
    stopped.wait_until_stopped()
    time.sleep(2.2)
    scene.crew.run(scene.queue(*["2"] * 6), ["deliver"])
    assert len(scene.simulator.ledger()) == 11
    stopped.go_on()
    stopped.wait()
    scene.send("3")
    assert scene.settle("SIGSTOP: flushing").accepted == 12


def test_who_is_stopped_while_it_leases_keeps_nobody_waiting(scene):
    """It holds the locks of its transaction; the others pass those rows by."""
    scene.send("1")
    stopped = scene.crew.start(
        scene.queue(*["2"] * 10), ["deliver"], STEP="leasing", SIGNAL=str(int(SIGSTOP)), LIMIT="4"
    )
    stopped.wait_until_stopped()
    scene.crew.run(["deliver"])
    assert len(scene.simulator.ledger()) == 7
    stopped.go_on()
    stopped.wait()
    scene.send("3")
    assert scene.settle("SIGSTOP: leasing").accepted == 12
