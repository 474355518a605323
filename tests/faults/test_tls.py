"""Faults of connections, over TLS and before a request is read; the accounts balance."""

import pytest

from django_smsww.contrib.simulator.process import SimulatorProcess

from ..support.databases import new_database
from ..support.raw_server import AUTHORITY, TLS
from .conftest import Scene, everything
from .crew import Crew
from .test_faults import PROFILES, drain

pytestmark = pytest.mark.slow
OVER_TLS = ["1", "914", "923", "939", "951", "952"]


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """Let the gateway speak TLS, with a certificate whose authority the project trusts."""
    folder = tmp_path_factory.mktemp("crew")
    words = ["--certificate", str(TLS / "localhost.pem")]
    with (
        new_database(folder) as database,
        SimulatorProcess(state_delay=0.02, arguments=words) as simulator,
        Crew(
            database,
            simulator.url.replace("127.0.0.1", "localhost"),
            folder,
            REQUESTS_CA_BUNDLE=str(AUTHORITY),
        ) as crew,
    ):
        crew.run(["migrate"])
        yield Scene(crew, simulator)


@pytest.mark.parametrize("profile", PROFILES if everything() else [""])
def test_a_failed_handshake_is_certain_and_what_suffered_it_is_sent_later(scene, profile):
    scene.send("1")
    scene.crew.run(scene.queue("2", "2", "2"))
    scene.simulator.arm("handshake", times=3, method="CONNECT")
    scene.crew.run(["deliver"])
    assert len(scene.simulator.ledger()) == 1
    scene.crew.run(["hurry"], ["deliver"])
    assert scene.settle("TLS handshake").accepted == 4


@pytest.mark.parametrize("profile", PROFILES if everything() else [""])
def test_the_accounts_balance_after_breaks_of_tls(scene, profile):
    scene.send("1")
    scene.crew.run(scene.queue(*OVER_TLS, "2", *OVER_TLS))
    drain(scene)
    scene.send("3")
    scene.settle("TLS in the middle")
