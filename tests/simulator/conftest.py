import pytest

from django_smsww.contrib.simulator.context import Options
from django_smsww.contrib.simulator.server import Simulator

from .door import Door
from .receiver import Receiver

STATE_DELAY = 0.02


@pytest.fixture
def open_door():
    """Start simulators with options of the test's choice; each call returns a door to one."""
    opened = []

    def start(**options):
        simulator = Simulator(Options(**{"state_delay": STATE_DELAY, "drip": 0.001, **options}))
        simulator.start()
        opened.append((simulator, Door(simulator.url)))
        return opened[-1][1]

    yield start
    for simulator, door in opened:
        door.close()
        simulator.stop()


@pytest.fixture
def door(open_door):
    return open_door()


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.stop()
