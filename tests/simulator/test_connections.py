"""Faults before a request is read, and in the middle of TLS."""

import pytest
import requests

from django_smsww.contrib.simulator.process import SimulatorProcess

from ..support.raw_server import AUTHORITY, TLS
from .door import NUMBER, Door


@pytest.fixture(scope="module")
def simulator():
    with SimulatorProcess(arguments=["--certificate", str(TLS / "localhost.pem")]) as running:
        yield running


@pytest.fixture
def tls_door(simulator):
    simulator.reset()
    door = Door(simulator.url.replace("127.0.0.1", "localhost"))
    door.session.verify = str(AUTHORITY)
    yield door
    door.close()


def test_it_speaks_tls_with_a_certificate(tls_door):
    assert tls_door.url.startswith("https://localhost:")
    assert tls_door.post().status_code == 201


def test_handshakes_fail_as_often_as_asked_and_nothing_arrives(simulator, tls_door):
    simulator.arm("handshake", times=2, method="CONNECT")
    for _ in range(2):
        with pytest.raises(requests.exceptions.SSLError):
            tls_door.post()
    assert simulator.requests() == []
    assert tls_door.post().status_code == 201


@pytest.mark.parametrize(("ending", "accepted"), [("951", 1), ("952", 0)])
def test_tls_breaks_in_the_middle_of_an_answer(simulator, tls_door, ending, accepted):
    with pytest.raises((requests.exceptions.SSLError, requests.exceptions.ConnectionError)):
        tls_door.post(recipient=f"{NUMBER[:-3]}{ending}")
    assert len(simulator.ledger()) == accepted


def test_a_connection_is_reset_before_its_request_is_read(door):
    door.control("next", {"ending": "reset", "method": "CONNECT"})
    door.session.close()
    with pytest.raises(requests.exceptions.ConnectionError):
        door.post()
    assert door.requests() == []
    assert door.post().status_code == 201
