"""The simulator as a process of its own."""

import os
import signal
import subprocess
import sys
import time

import pytest
import requests

from django_smsww.contrib.simulator.process import SimulatorProcess

from .door import Door


@pytest.fixture
def send():
    doors = []

    def post(simulator, **fields):
        doors.append(Door(simulator.url))
        return doors[-1].post(**fields)

    yield post
    for door in doors:
        door.close()


def test_process_serves_and_is_controlled(send):
    with SimulatorProcess(profiles=["bare"], token="t") as simulator:
        assert send(simulator).status_code == 401
        simulator.reset()
        simulator.set_profile("empty-401")
        assert send(simulator).content == b""
        assert simulator.ledger() == []
        assert [line["status"] for line in simulator.requests()] == [401]


def test_accepted_messages_survive_a_kill(send, receiver):
    callback = {"url": receiver.url, "custom": {"_smsww": {"reference": "r1"}}}
    simulator = SimulatorProcess(pace=0.3).start()
    url = simulator.url
    send(simulator, callback=callback)
    simulator.kill()
    simulator.start()
    assert simulator.url == url
    assert len(simulator.ledger("r1")) == 1
    simulator.wait_until_idle()
    assert receiver.states[-2:] == ["PENDING", "DELIVERED"]
    simulator.stop()


def test_callback_that_was_under_way_is_posted_again_after_a_kill(receiver):
    receiver.open.clear()
    simulator = SimulatorProcess().start()
    with pytest.raises(requests.ReadTimeout):
        _send_and_read_nothing(simulator, "929", receiver.url)
    simulator.kill()
    receiver.open.set()
    simulator.start()
    simulator.wait_until_idle()
    simulator.stop()
    assert receiver.states[-2:] == ["PENDING", "DELIVERED"]


def _send_and_read_nothing(simulator, ending, callback_url=""):
    body = {"recipient": f"+393330000{ending}", "message": "Hello"}
    if callback_url:
        body["callback"] = {"url": callback_url}
    headers = {"Authorization": "Bearer x"}
    requests.post(f"{simulator.url}/WW-messages", json=body, headers=headers, timeout=0.2)


def test_named_store_is_kept_and_another_is_removed(tmp_path, send):
    path = tmp_path / "store.sqlite3"
    with SimulatorProcess(store=path) as simulator:
        send(simulator)
        simulator.wait_until_idle()
    with SimulatorProcess(store=path) as simulator:
        assert len(simulator.ledger()) == 1
    assert path.exists()


def test_behaviour_and_account_are_set_from_outside(send):
    with SimulatorProcess() as simulator:
        simulator.set_account(credit="0.5")
        assert send(simulator).status_code == 402
        simulator.set_account(credit=5)
        simulator.arm("916")
        assert [send(simulator).status_code for _ in range(2)] == [503, 201]


def test_sigterm_ends_it_cleanly_even_while_it_hangs(send):
    with SimulatorProcess(arguments=["--latency", "0.01"]) as simulator:
        with pytest.raises(requests.ReadTimeout):
            _send_and_read_nothing(simulator, "911")
        process = simulator._process
        os.kill(simulator.pid, signal.SIGTERM)
        assert process.wait(5) == 0


def test_simulator_ends_with_the_process_that_started_it(tmp_path):
    script = (
        "from django_smsww.contrib.simulator.process import SimulatorProcess\n"
        "import os, signal\n"
        "simulator = SimulatorProcess().start()\n"
        "print(simulator.url, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "TMPDIR": str(tmp_path),  # the killed process leaves its store behind
    }
    command = [sys.executable, "-c", script]
    killed = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=20)
    deadline = time.monotonic() + 5
    while _answers(killed.stdout.strip()):
        assert time.monotonic() < deadline, "it outlived its parent"
        time.sleep(0.02)


def _answers(url):
    try:
        return requests.get(f"{url}/_simulator/idle", timeout=1).ok
    except requests.ConnectionError:
        return False


def test_start_that_fails_says_so(capfd):
    with pytest.raises(RuntimeError, match="did not start"):
        SimulatorProcess(profiles=["nonsense"]).start()
    assert "'nonsense' is not a profile" in capfd.readouterr().err


def test_importing_it_loads_neither_django_nor_requests():
    script = (
        "import sys, django_smsww.contrib.simulator.server\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "print(sorted(loaded & {'django', 'requests', 'rest_framework'}))\n"
        "print([name for name in sys.modules if name.startswith('django_smsww.')\n"
        "       and not name.startswith('django_smsww.contrib')])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    shown = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True
    )
    assert shown.stdout.split("\n")[:2] == ["[]", "[]"]


def test_numbers_are_printed():
    command = [sys.executable, "-m", "django_smsww.contrib.simulator", "--numbers"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "...901  ends UNDELIVERABLE" in shown.stdout
