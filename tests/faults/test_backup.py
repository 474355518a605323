"""A backup that was made in the middle of a batch, and restored when all had left."""

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.db import connection

from django_smsww.contrib.simulator.process import SimulatorProcess

from .conftest import everything
from .test_faults import PROFILES

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def simulator():
    with SimulatorProcess(state_delay=0.02, arguments=["--latency", "0.05"]) as running:
        yield running


def go_back_to_a_backup(scene, dump, restore):
    """Send a batch, go back to its middle, hold what may have left since, and go on."""
    scene.send("1")
    scene.crew.run(scene.queue(*["2", "912", "913"] * 20))
    worker = scene.crew.start(["deliver"], CONCURRENCY="2", LIMIT="10")
    scene.wait_for_ledger(11)
    since = datetime.now(UTC).isoformat()
    dump()
    worker.wait()
    sent_before = len(scene.simulator.ledger())
    restore()
    scene.crew.run(["sync", "--after-restore", since])
    assert len(scene.simulator.ledger()) == sent_before
    scene.crew.run(["outlive"], ["hurry"], ["deliver"])
    scene.send("3")
    assert scene.settle("backup restored").accepted > 40


@pytest.mark.skipif(connection.vendor != "sqlite", reason="test_database.py restores the others")
@pytest.mark.parametrize("profile", PROFILES if everything() else [""])
def test_after_a_copy_of_the_file_from_the_middle_was_restored(scene, tmp_path, profile):
    file = Path(scene.crew.environment["DATABASE_URL"].removeprefix("sqlite:///"))
    copy = tmp_path / "copy.sqlite3"

    def dump():
        with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)

    def restore():
        for beside in file.parent.glob(f"{file.name}-*"):  # what SQLite had not put into it yet
            beside.unlink()
        shutil.copy(copy, file)

    go_back_to_a_backup(scene, dump, restore)
