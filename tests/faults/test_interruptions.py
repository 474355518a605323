"""Processes that are killed, stopped for too long, or tell the wrong time; the accounts balance."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from itertools import cycle

import pytest

from django_smsww.contrib.simulator.process import SimulatorProcess

from .conftest import everything
from .crew import ROOT, SECONDS
from .test_faults import ABOUT_THE_ACCOUNT, ALL_PROFILES, FAULTS, PROFILES
from .test_kill import STEPS

LEASE = 1
"""Seconds; half of it is the longest that a request may take."""

SOME_FAULTS = ["1", "912", "913", "916", "921"]
"""One of each kind: none; unknown and accepted; unknown and not; not sent; an unusable answer."""

STRUCK = [ending for ending in FAULTS if ending not in ABOUT_THE_ACCOUNT]
NAMED = [step for step in STEPS if step != "row written"]


def each_step(*endings):
    """Return each step with each ending, each time in the next profile if all are to be tried."""
    chosen = ["1", *STRUCK] if everything() else endings
    profiles = cycle(ALL_PROFILES if everything() else [""])
    return [(step, ending, next(profiles)) for ending in chosen for step in NAMED]


@pytest.fixture(scope="module")
def simulator():
    """A gateway that takes its time, so that there is a middle to interrupt."""
    with SimulatorProcess(state_delay=0.02, arguments=["--latency", "0.05"]) as running:
        yield running


def start_two(scene):
    """Start two workers that share the queue, a few rows at a time."""
    return [scene.crew.start(["deliver"], CONCURRENCY="2", LIMIT="6") for _ in range(2)]


def go_on(scene):
    """Have others take over, as if the leases of the dead were over."""
    scene.crew.run(["outlive"], ["hurry"], ["deliver"])


@pytest.mark.slow
@pytest.mark.parametrize(("step", "ending", "profile"), each_step("912"))
def test_after_a_kill_in_the_middle_of_a_block(scene, step, ending, profile):
    scene.send("1")
    killed = scene.crew.start(scene.queue(ending, "2", ending), ["deliver"], STEP=step)
    assert killed.end() == -signal.SIGKILL
    go_on(scene)
    scene.send("3")
    scene.settle(f"SIGKILL: {step}, {ending}")


@pytest.mark.slow
@pytest.mark.parametrize(("step", "ending", "profile"), each_step("1"))
def test_after_a_stop_past_the_lease_in_the_middle_of_a_block(scene, step, ending, profile):
    """The worker goes on when its rows are somebody else's."""
    scene.send("1")
    stopped = scene.crew.start(
        scene.queue(ending, "2", ending), ["deliver"], STEP=step, SIGNAL=str(int(signal.SIGSTOP))
    )
    stopped.wait_until_stopped()
    go_on(scene)
    stopped.go_on()
    stopped.wait()
    scene.send("3")
    scene.settle(f"SIGSTOP: {step}, {ending}")


@pytest.mark.slow
@pytest.mark.parametrize("profile", PROFILES if everything() else PROFILES[1:3])
def test_after_a_true_lease_ran_out_at_any_moment(scene, profile):
    """Nothing is helped along here: the lease, and the clocks that tell its end, are real."""
    scene.send("1")
    scene.crew.run(scene.queue(*["2"] * 60))
    stopped = scene.crew.start(["deliver"], LEASE=str(LEASE), CONCURRENCY="4", TIMEOUT="0.4")
    scene.wait_for_ledger(20)
    stop_without_lock(stopped, scene.crew.environment["DATABASE_URL"])
    time.sleep(LEASE + 0.2)
    scene.crew.run(["deliver"])
    stopped.go_on()
    stopped.wait()
    scene.send("3")
    assert scene.settle("SIGSTOP past the lease").accepted > 40


def stop_without_lock(worker, database):
    """Stop it at any moment but while it keeps all others from writing, on SQLite.

    A reader that is stopped in the middle does so too: nobody can commit while it reads.
    """
    while True:
        worker.stop()
        worker.wait_until_stopped()
        if not database.startswith("sqlite") or is_free(database.removeprefix("sqlite:///")):
            return
        worker.go_on()
        time.sleep(0.01)


def is_free(path):
    with closing(sqlite3.connect(path, timeout=0)) as connection:
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            return False
        return True


def test_a_database_is_not_free_while_somebody_reads(tmp_path):
    path = tmp_path / "database"
    with closing(sqlite3.connect(path)) as reader:
        reader.executescript("CREATE TABLE numbers (n); INSERT INTO numbers VALUES (1), (2)")
        unfinished = reader.execute("SELECT n FROM numbers")
        assert unfinished.fetchone() == (1,)
        assert not is_free(path)
        unfinished.close()
        assert is_free(path)


@pytest.mark.slow
@pytest.mark.parametrize("profile", PROFILES)
def test_after_a_kill_and_a_restart_in_the_middle_of_a_batch(scene, profile):
    scene.open_door()
    scene.send("1")
    scene.crew.run(scene.queue(*["2"] * 60))
    for accepted in (10, 20):
        workers = start_two(scene)
        scene.wait_for_ledger(accepted)
        # One of them may have found nothing left to take; both cannot.
        died = [worker.kill() for worker in workers]
        assert True in died
        scene.crew.run(["outlive"])
    go_on(scene)
    scene.send("3")
    assert scene.settle("SIGKILL in a batch").accepted > 20


@pytest.mark.slow
def test_a_service_that_is_told_to_stop_gives_back_what_has_not_left(scene):
    scene.crew.run(scene.queue(*["2"] * 60))
    service = scene.crew.start(["deliver", "--interval", "1"], CONCURRENCY="2")
    scene.wait_for_ledger(10)
    os.kill(service.pid, signal.SIGTERM)
    taken = int(re.search(r"Sent: (\d+)", service.wait())[1])
    assert taken == len(scene.simulator.ledger())
    assert 10 <= taken < 60
    scene.crew.run(["deliver"])  # no lease has to run out
    assert scene.settle("SIGTERM").accepted == 60


@pytest.mark.slow
@pytest.mark.parametrize("profile", PROFILES)
def test_after_the_gateway_was_killed_and_restarted(scene, profile):
    scene.send("1")
    scene.crew.run(scene.queue(*["2"] * 40))
    workers = start_two(scene)
    scene.wait_for_ledger(11)
    scene.simulator.kill()
    time.sleep(0.1)
    scene.simulator.start()
    for worker in workers:
        worker.wait()
    scene.send("3")
    assert scene.settle("gateway killed").accepted > 20


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [600, -600])
def test_with_clocks_that_are_ten_minutes_apart(scene, seconds):
    scene.send("1")
    scene.crew.run(scene.queue(*SOME_FAULTS, *["2"] * 30, *SOME_FAULTS))
    wrong = start_afresh(scene, CLOCK=str(seconds), LIMIT="6")
    right = scene.crew.start(["deliver"], CONCURRENCY="1", LIMIT="6")
    assert wrong.wait(SECONDS) == 0
    right.wait()
    scene.send("3")
    # SQLite has no clock of its own: what its fast process tried has not begun for the others.
    is_sqlite = scene.crew.environment["DATABASE_URL"].startswith("sqlite")
    scene.settle(f"clock {seconds:+} s", may_be_unknown=is_sqlite)


def start_afresh(scene, **environment):
    """Start a worker that is no fork: its clock must be wrong before Django is loaded."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.faults.worker", "deliver"],
        cwd=ROOT,
        env={**os.environ, **scene.crew.environment, "CONCURRENCY": "2", **environment},
        stdout=subprocess.DEVNULL,
    )
