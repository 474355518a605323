"""The simulator as a process of its own."""

import os
import subprocess
import sys

import pytest
import requests

from django_smsww.contrib.simulator.process import SimulatorProcess

from .door import NUMBER, wait_for


def send(simulator, *, token="x", timeout=5, **fields):
    body = {"recipient": NUMBER, "message": "Hello", **fields}
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{simulator.url}/WW-messages"
    return requests.post(url, json=body, headers=headers, timeout=timeout)


def test_process_serves_and_is_controlled():
    with SimulatorProcess(profiles=["bare"], token="x") as simulator:
        assert send(simulator, token="y").status_code == 401
        assert [line["status"] for line in simulator.requests()] == [401]
        assert "data" not in send(simulator).json()
        simulator.set_profile()
        assert "data" in send(simulator).json()
        simulator.reset()
        assert simulator.ledger() == []
        simulator.set_account(credit="0.5")
        assert send(simulator).status_code == 402
        simulator.set_account(credit=5)
        simulator.arm("916")
        assert [send(simulator).status_code for _ in range(2)] == [503, 201]


def test_accepted_messages_survive_a_kill(receiver):
    with SimulatorProcess(state_delay=0.3) as simulator:
        url = simulator.url
        send(simulator, callback={"url": receiver.url})
        simulator.kill()
        simulator.start()
        assert (simulator.url, len(simulator.ledger())) == (url, 1)
        simulator.wait_until_idle()
    assert receiver.states[-2:] == ["PENDING", "DELIVERED"]


@pytest.mark.slow
def test_callback_that_was_under_way_is_posted_again_after_a_kill(receiver):
    receiver.open.clear()
    with SimulatorProcess() as simulator:
        with pytest.raises(requests.ReadTimeout):
            send(simulator, timeout=0.2, recipient="+393330000929", callback={"url": receiver.url})
        simulator.kill()
        receiver.open.set()
        simulator.start()
        simulator.wait_until_idle()
    assert receiver.states[-2:] == ["PENDING", "DELIVERED"]


@pytest.mark.slow
def test_named_store_is_kept_and_another_is_removed(tmp_path):
    path = tmp_path / "store.sqlite3"
    with SimulatorProcess(store=path) as simulator:
        send(simulator)
        simulator.wait_until_idle()
    with SimulatorProcess(store=path) as simulator:
        assert len(simulator.ledger()) == 1
    assert path.exists()


def test_sigterm_ends_it_cleanly_even_while_it_hangs():
    with SimulatorProcess(arguments=["--latency", "0.01"]) as simulator:
        with pytest.raises(requests.ReadTimeout):
            send(simulator, timeout=0.2, recipient="+393330000911")
        process = simulator._process
        process.terminate()
        assert process.wait(5) == 0


def test_simulator_ends_with_the_process_that_started_it(tmp_path):
    script = (
        "from django_smsww.contrib.simulator.process import SimulatorProcess\n"
        "import os, signal\n"
        "simulator = SimulatorProcess().start()\n"
        "print(simulator.url, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    # The killed process leaves its store in TMPDIR.
    url = run_python("-c", script, TMPDIR=str(tmp_path)).strip()
    wait_for(lambda: not _answers(url))


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
    assert run_python("-c", script) == "[]\n[]\n"


def run_python(*words, **variables):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **variables}
    command = [sys.executable, *words]
    return subprocess.run(
        command, stdout=subprocess.PIPE, text=True, env=environment, timeout=20
    ).stdout
