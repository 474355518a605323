"""Each way in which the gateway or the network fails, and the accounts after it."""

import pytest

from django_smsww.contrib.simulator.behaviours import TEST_NUMBERS
from django_smsww.contrib.simulator.profiles import DESCRIPTIONS

from ..support.sampling import slow_unless
from .conftest import SILENT, everything

FAULTS = sorted(ending for ending in TEST_NUMBERS if ending > "910")
ABOUT_THE_ACCOUNT = ["919", "933", "959", "960", "961"]
"""Faults after which nothing leaves for a while, whatever its number."""

OF_ANOTHER = "931"
"""The fault of callbacks that bear a message's signature, and the id of another."""

ALL_PROFILES = ["", *sorted(set(DESCRIPTIONS) - {"list-late"}), "list-late=0.3"]
FEW_PROFILES = ["", "oldest-first", "custom-not-echoed", "list-late=0.3"]
PROFILES = ALL_PROFILES if everything() else FEW_PROFILES


def drain(scene, workers=2, **environment):
    """Have several processes empty the queue, each with its threads."""
    members = [scene.crew.start(["deliver"], **environment) for _ in range(workers)]
    for member in members:
        member.wait()


def groups():
    """Return the faults one by one, or up to four together where time is short."""
    alone = FAULTS if everything() else ABOUT_THE_ACCOUNT
    others = [ending for ending in FAULTS if ending not in alone]
    return [*alone, *("+".join(others[at : at + 4]) for at in range(0, len(others), 4))]


@pytest.mark.parametrize("profile", ALL_PROFILES if everything() else [""])
@pytest.mark.parametrize("group", slow_unless(lambda group: "912" in group, groups()))
def test_the_accounts_balance_after(scene, group, profile):
    """The messages before and after are the positive control of the reconciliation."""
    endings = group.split("+")
    scene.send("1")
    scene.crew.run(scene.queue(*endings, "2", *endings, *endings))
    drain(scene)
    scene.send("3")
    account = scene.settle(*endings)
    if not set(endings) & set(ABOUT_THE_ACCOUNT):
        accepted = [TEST_NUMBERS[ending].accepts for ending in endings]
        assert account.accepted == 3 + 3 * sum(accepted)


@pytest.mark.slow
@pytest.mark.parametrize("profile", PROFILES)
def test_the_accounts_balance_after_all_of_them_at_once(scene, profile):
    scene.open_door()
    send_all(scene, but=[*ABOUT_THE_ACCOUNT, OF_ANOTHER])
    scene.settle("all at once")


@pytest.mark.slow
def test_an_answer_overrules_the_id_of_a_callback_that_came_before_it(scene):
    """The answers of a block are written down together, so the slow one lets callbacks overtake."""
    scene.open_door()
    scene.send("911", OF_ANOTHER)
    scene.send("1")
    scene.settle(OF_ANOTHER)


@pytest.mark.slow
@pytest.mark.parametrize("profile", sorted(SILENT))
def test_without_callbacks_nor_references_nothing_is_claimed_wrongly(scene, profile):
    send_all(scene, but=ABOUT_THE_ACCOUNT)
    scene.settle("all at once, unheard")


def send_all(scene, but):
    """Have several processes send all that goes wrong, between what does not."""
    endings = [ending for ending in FAULTS if ending not in but]
    scene.send("1")
    scene.crew.run(scene.queue(*endings, "2", *endings))
    drain(scene)
    scene.send("3")


@pytest.mark.slow
@pytest.mark.parametrize("profile", PROFILES if everything() else [""])
def test_the_accounts_balance_after_requests_that_were_not_read(scene, profile):
    scene.send("1")
    scene.crew.run(scene.queue("2", "2", "2", "2"))
    scene.simulator.arm("reset", times=2, method="CONNECT")
    drain(scene)
    scene.send("3")
    assert scene.settle("reset unread").accepted == 4


@pytest.mark.slow
def test_a_staging_copy_of_the_database_sends_nothing_and_adopts_nothing(scene):
    scene.send("1")
    scene.crew.run(scene.queue("912", "913", "2"), ["deliver"], scene.queue("2", "2"))
    before = scene.crew.run(["rows"]), scene.simulator.requests()
    staging = {"DEPLOYMENT": "staging"}
    scene.crew.run(["outlive"], ["deliver"], ["sync"], ["deliver"], **staging)
    assert (scene.crew.run(["rows"]), scene.simulator.requests()) == before
    scene.send("3")
    assert scene.settle("staging").accepted == 6
