"""SIGKILL at each named step of a send; the gateway's own ledger is the judge of what was sent."""

import signal
import time

import pytest

from ..support.sampling import slow_unless

NUMBER = "+393331234567"

# Where the row must stand when the process is dead, how often the gateway may have the message
# then, and where the row stands once another worker has been at it.
STEPS = {
    "row written": ("QUEUED", 0, "FAILED"),
    "SENDING committed": ("SENDING", 0, "UNKNOWN"),
    "connected": ("SENDING", 0, "UNKNOWN"),
    "last byte written": ("SENDING", 1, "UNKNOWN"),
    "answer on the wire": ("SENDING", 1, "UNKNOWN"),
    "answer read": ("SENDING", 1, "UNKNOWN"),
    "before the flush": ("SENDING", 1, "UNKNOWN"),
    "after the flush": ("NEW", 1, "NEW"),
}
DOORS = [
    *[("send", step) for step in STEPS],
    *[("send_unkeyed", step) for step in STEPS if step != "row written"],
    ("send_in_transaction", "SENDING committed"),
    ("send_queued", "leased"),
    ("send_queued", "SENDING committed"),
]
FEW = {("send", "last byte written"), ("send_queued", "leased")}
STEPS["leased"] = ("QUEUED", 0, "NEW")


def kill_at(scene, step, *numbers, door="send"):
    """Send to these numbers in a process that is killed at a step of the last of them."""
    killed = scene.crew.start([door, *numbers], STEP=step)
    assert killed.end() == -signal.SIGKILL, killed.output.read_text()


def rows(scene):
    return [line.split() for line in scene.crew.run(["show"]).splitlines()]


def wait_for_ledger(simulator, expected):
    """Return what the gateway accepted: at once when that is enough, or after 0.3 s if none is."""
    deadline = time.monotonic() + (1 if expected else 0.3)
    while time.monotonic() < deadline and not 0 < expected <= len(simulator.ledger()):
        time.sleep(0.02)
    return simulator.ledger()


@pytest.mark.parametrize(("door", "step"), slow_unless(lambda *case: case in FEW, DOORS))
def test_after_a_kill_the_row_tells_the_truth_and_nothing_is_sent_twice(scene, door, step):
    before_sweep, sent, after_sweep = STEPS[step]
    kill_at(scene, step, NUMBER, door=door)
    [[reference, state, *_]] = rows(scene)
    # The request of the dead is read by the gateway all the same, a moment later.
    assert (state, len(wait_for_ledger(scene.simulator, sent))) == (before_sweep, sent)

    scene.crew.run(["sweep"])
    [[_, state, *_]] = rows(scene)
    assert state == after_sweep
    expected = [reference] * (sent or state == "NEW")
    accepted = wait_for_ledger(scene.simulator, len(expected))
    assert [entry["reference"] for entry in accepted] == expected


def test_a_repeated_call_with_the_key_does_not_send_what_may_have_been_sent(scene):
    kill_at(scene, "last byte written", NUMBER)
    scene.crew.run(["sweep"])
    again = scene.crew.start(["send", NUMBER])
    assert again.end() == 1
    assert "SMSOutcomeUnknown" in again.output.read_text()
    assert len(wait_for_ledger(scene.simulator, 0)) == 1


def test_a_killed_process_leaves_what_it_had_sent_and_not_begun_as_they_are(scene):
    scene.crew.run(["send", NUMBER])
    kill_at(scene, "SENDING committed", NUMBER, "+393331234568")
    assert [state for _, state, *_ in rows(scene)] == ["NEW", "SENDING"]
    assert len(scene.simulator.ledger()) == 1
