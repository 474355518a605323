"""The scene of a fault: a project with its processes, a gateway, and the accounts of both."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from django_smsww.contrib.simulator.process import SimulatorProcess
from django_smsww.reconcile.report import Reason

from ..support.databases import new_database
from ..support.waiting import await_true
from .accounts import NOTHING, Account, balance
from .crew import Crew

SILENT = {"custom-not-echoed", "callback-not-echoed"}
"""Profiles under which the list brings no references back."""


class Tally:
    """What the runs of this session come to."""

    runs = 0
    faults: set[str] = set()
    total: Account = NOTHING

    @classmethod
    def add(cls, account: Account, *faults: str) -> None:
        cls.runs += 1
        cls.faults.update(faults)
        cls.total += account


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not Tally.runs:
        return
    total = Tally.total
    terminalreporter.section("accounts of the fault suite")
    terminalreporter.line(
        f"{Tally.runs} runs, {len(Tally.faults)} faults, {total.asked} messages: "
        f"{total.accepted} accepted, {total.refused} refused, {total.not_sent} not sent, "
        f"{total.unknown} unknown; lost {total.lost}, doubled {total.doubled}"
    )


@dataclass
class Scene:
    """A project and a gateway, and what happens between them."""

    crew: Crew
    simulator: SimulatorProcess
    profiles: tuple[str, ...] = ()
    queued: int = 0

    def begin(self, *profiles: str) -> None:
        """Empty the stage, and let the gateway have these profiles."""
        self.simulator.reset()
        self.profiles, self.queued = profiles, 0
        self.simulator.set_profile(*profiles)
        self.crew.run(["flush"])

    def queue(self, *endings: str) -> list[str]:
        """Return the action that queues messages for numbers with these endings."""
        first, self.queued = self.queued, self.queued + len(endings)
        return ["queue", str(first), *endings]

    def send(self, *endings: str) -> None:
        """Send what was put off, and then these, in a process of its own.

        These prove that what got lost before them is absent, so nothing may be tried beside them.
        """
        put_off = [["hurry"], ["deliver"]] * 3
        self.crew.run(*put_off, self.queue(*endings), ["hurry"], ["deliver"])

    def open_door(self) -> None:
        """Take callbacks from now on."""
        self.crew.start(["serve"]).wait_until_it_says("ready")

    def wait_for_ledger(self, count: int) -> None:
        """Wait until the gateway has accepted so many."""
        await_true(lambda: len(self.simulator.ledger()) >= count)

    def account(self) -> Account:
        rows = json.loads(self.crew.run(["rows"]).splitlines()[-1])
        priced = "price-zero" not in self.profiles
        return balance(rows, self.simulator.ledger(), self.simulator.requests(), priced=priced)

    def settle(self, *faults: str, may_be_unknown: bool = False) -> Account:
        """Reconcile when all has calmed down, and return the accounts, which must balance."""
        self.simulator.wait_until_idle()
        # Reconciling would put right what must not be wrong at any time.
        before = self.account()
        assert (before.lost, before.doubled, before.invented) == (0, 0, 0), before
        late = any(name.startswith("list-late") for name in self.profiles)
        for left in reversed(range(20 if late else 3)):
            said = self.crew.run(["sync"])
            account = self.account()
            lacks_later = Reason.NO_CONTROL_AFTER.value in said
            if account.is_settled or not left or not (late or lacks_later):
                break
            if not late or left == 2:  # the last one left beside what was still tried
                self.send("3")
        Tally.add(account, *faults)
        # The rows say why they stay unknown: the report is what one wants to read then.
        print(said)
        may_be_unknown |= bool(SILENT & set(self.profiles))
        account.check(unknown=None if may_be_unknown else 0)
        assert account.asked == self.queued
        return account


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorProcess]:
    with SimulatorProcess(state_delay=0.02) as running:
        yield running


@pytest.fixture(scope="module")
def stage(simulator, tmp_path_factory) -> Iterator[Scene]:
    """Return the scene that the tests of a module share."""
    folder = tmp_path_factory.mktemp("crew")
    with new_database(folder) as database, Crew(database, simulator.url, folder) as crew:
        crew.run(["migrate"])
        yield Scene(crew, simulator)


@pytest.fixture
def scene(stage, request) -> Iterator[Scene]:
    """Return the emptied scene, under the profile that the test names, if any."""
    profile = request.getfixturevalue("profile") if "profile" in request.fixturenames else ""
    stage.begin(*filter(None, [profile]))
    yield stage
    stage.crew.dismiss()


def everything() -> bool:
    """Tell whether each fault is to be tried in every profile, at every step."""
    return os.environ.get("FULL") == "1"
