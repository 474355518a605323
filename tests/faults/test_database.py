"""A database server that is killed, and a backup that was made in the middle."""

import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from django_smsww.contrib.simulator.process import SimulatorProcess

from ..support.waiting import free_port
from .conftest import Scene
from .crew import Crew
from .test_backup import go_back_to_a_backup
from .test_interruptions import LEASE

pytestmark = pytest.mark.postgresql


@dataclass
class Server:
    """A PostgreSQL server of its own: another one cannot be killed."""

    programs: Path
    folder: Path
    port: int

    def run(self, name: str, *words: object) -> None:
        # initdb and the server refuse to run as root.
        user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        command = [*user, self.programs / name, *words]
        with (self.folder / "said").open("w+") as said:
            done = subprocess.run(
                [str(word) for word in command],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                timeout=60,
                check=False,
            )
            said.seek(0)
            assert done.returncode == 0, said.read()

    def control(self, *words: object) -> None:
        self.run("pg_ctl", "-D", self.folder / "data", "-w", *words)

    def create(self) -> None:
        words = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        self.run("initdb", "-D", self.folder / "data", *words)

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
        self.control("-l", self.folder / "log", "-o", options, "start")

    def kill(self) -> None:
        """Stop it as a power cut would; it has to recover when it starts again."""
        self.control("-m", "immediate", "stop")

    def dump(self) -> None:
        self.run("pg_dump", "-Fc", "-f", self.folder / "dump", *self.place, "postgres")

    def restore(self) -> None:
        """Bring the backup back, and forget what was written since."""
        self.run("pg_restore", "--clean", "-d", "postgres", *self.place, self.folder / "dump")

    @property
    def place(self) -> list[object]:
        return ["-h", "127.0.0.1", "-p", self.port, "-U", "postgres"]


@pytest.fixture(scope="module")
def server():
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: int(each.parent.name)
    )
    if not found:
        pytest.fail("The programs of PostgreSQL are needed: apt-get install postgresql.")
    # Not below pytest's own folder, which nobody else may enter.
    folder = Path(tempfile.mkdtemp(prefix="smsww-postgresql-"))
    if os.geteuid() == 0:
        shutil.chown(folder, pwd.getpwnam("postgres").pw_uid)
    server = Server(found[-1], folder, free_port())
    try:
        server.create()
        server.start()
        yield server
        server.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def stage(server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("crew")
    url = f"postgres://postgres@127.0.0.1:{server.port}/postgres"
    with (
        SimulatorProcess(state_delay=0.02, arguments=["--latency", "0.05"]) as simulator,
        Crew(url, simulator.url, folder) as crew,
    ):
        crew.run(["migrate"])
        yield Scene(crew, simulator)


@pytest.mark.parametrize("has_door", [False, True])
def test_after_the_database_was_killed_and_restarted_in_the_middle(scene, server, has_door):
    if has_door:
        scene.open_door()
    scene.send("1")
    scene.crew.run(scene.queue(*["2", "912", "913", "916"] * 15))
    words = {"LEASE": str(LEASE), "CONCURRENCY": "2", "TIMEOUT": "0.4", "LIMIT": "10"}
    workers = [scene.crew.start(["deliver"], **words) for _ in range(2)]
    scene.wait_for_ledger(11)
    server.kill()
    # Nothing leaves that could not be written down first.
    ends = [worker.end() for worker in workers]
    assert ends != [0, 0]
    server.start()
    scene.crew.run(["outlive"], ["hurry"], ["deliver"])
    scene.send("3")
    assert scene.settle("database killed").accepted > 20


def test_after_a_backup_from_the_middle_was_restored(scene, server):
    go_back_to_a_backup(scene, server.dump, server.restore)
