"""SIGKILL at each named step of a send; the gateway's own ledger is the judge of what was sent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from django_smsww.contrib.simulator.process import SimulatorProcess

NUMBER = "+393331234567"
ROOT = Path(__file__).parents[2]

# Where the row must stand when the process is dead, how often the gateway may have the message
# then, and where the row stands once another worker has been at it.
STEPS = {
    "row written": ("QUEUED", 0, "NEW"),
    "leased": ("QUEUED", 0, "NEW"),
    "SENDING committed": ("SENDING", 0, "UNKNOWN"),
    "connected": ("SENDING", 0, "UNKNOWN"),
    "last byte written": ("SENDING", 1, "UNKNOWN"),
    "answer on the wire": ("SENDING", 1, "UNKNOWN"),
    "answer read": ("SENDING", 1, "UNKNOWN"),
    "before the flush": ("SENDING", 1, "UNKNOWN"),
    "after the flush": ("NEW", 1, "NEW"),
}


@pytest.fixture(scope="module")
def simulator():
    with SimulatorProcess(state_delay=0.02) as running:
        yield running


@dataclass
class Project:
    """A project of its own: a database, and processes that come and go."""

    database: str
    gateway: str

    def run(self, *action: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tests.faults.worker", *action],
            cwd=ROOT,
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "tests.faults.settings",
                "DATABASE_URL": self.database,
                "GATEWAY": self.gateway,
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def rows(self) -> list[list[str]]:
        shown = self.run("show")
        assert shown.returncode == 0, shown.stderr
        return [line.split() for line in shown.stdout.splitlines()]


@pytest.fixture
def project(simulator, tmp_path, new_database):
    simulator.reset()
    project = Project(new_database, simulator.url)
    migrated = project.run("migrate")
    assert migrated.returncode == 0, migrated.stderr
    return project


@pytest.mark.parametrize("step", STEPS)
def test_after_a_kill_the_row_tells_the_truth_and_nothing_is_sent_twice(project, simulator, step):
    before_sweep, sent, after_sweep = STEPS[step]
    killed = project.run("send", NUMBER, STEP=step)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    [[reference, state, *_]] = project.rows()
    # The request of the dead is read by the gateway all the same, a moment later.
    assert (state, len(wait_for_ledger(simulator, sent))) == (before_sweep, sent)

    swept = project.run("sweep")
    assert swept.returncode == 0, swept.stderr
    [[_, state, *_]] = project.rows()
    accepted = wait_for_ledger(simulator, 1)
    assert state == after_sweep
    assert [entry["reference"] for entry in accepted] == [reference] * (sent or state == "NEW")


def wait_for_ledger(simulator, expected):
    """Return what the gateway accepted, once that is as much as expected or time is up."""
    deadline = time.monotonic() + (1 if expected else 0.3)
    while len(simulator.ledger()) < expected or not expected:
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    return simulator.ledger()


def test_a_repeated_call_with_the_key_does_not_send_what_may_have_been_sent(project, simulator):
    project.run("send", NUMBER, STEP="last byte written")
    project.run("sweep")
    again = project.run("send", NUMBER)
    assert "SMSOutcomeUnknown" in again.stderr
    assert len(wait_for_ledger(simulator, 2)) == 1


def test_a_killed_process_leaves_what_it_had_sent_and_not_begun_as_they_are(project, simulator):
    first, second = NUMBER, "+393331234568"
    project.run("send", first)
    project.run("send", first, second, STEP="SENDING committed")
    states = [state for _, state, *_ in project.rows()]
    assert states == ["NEW", "SENDING"]
    assert len(simulator.ledger()) == 1
