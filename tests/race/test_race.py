"""Workers of every kind share one queue, and die all the time."""

import os
import random
import time
from itertools import count

import pytest

from .conftest import THREADS, WORKERS

pytestmark = pytest.mark.broker

MESSAGES = int(os.environ.get("RACE_MESSAGES", "2000"))
KINDS = ["db_worker"] * 3 + ["celery"] * 3 + ["service"] * 2
BLOCK = 100
"""How many messages are left to an engine at a time, and how many leave between two kills."""


def queue_all(race):
    """Start the process that leaves blocks of messages to one engine or to all at once."""
    engines = ["all", "tasks", "all", "celery"]
    blocks = zip(count(), range(0, MESSAGES, BLOCK))
    return race.crew.start(
        *(["send_many", engines[n % 4], str(first), str(BLOCK)] for n, first in blocks),
        **WORKERS,
    )


class Fate:
    """Kills workers and the broker as the work goes on."""

    def __init__(self, race):
        self.race, self.dice = race, random.Random(os.environ.get("RACE_SEED", "race"))
        self.workers = [race.start(kind) for kind in KINDS]
        self.kills, self.next_kill = 0, BLOCK
        self.broker = [(MESSAGES // 2, race.redis.start), (MESSAGES // 4, race.redis.stop)]

    def strike(self, sent):
        """Do what is due when so many messages have left."""
        while self.broker and sent >= self.broker[-1][0]:
            self.broker.pop()[1]()
        if self.next_kill <= sent < MESSAGES:
            self.next_kill = sent + BLOCK
            self.kill_one()

    def kill_one(self):
        place = self.dice.randrange(len(self.workers))
        self.kills += self.workers[place].kill()
        self.workers[place] = self.race.start(KINDS[place])


def test_each_message_is_sent_once_whoever_dies(race):
    began = time.monotonic()
    fate = Fate(race)
    producer = queue_all(race)
    while not race.is_over(MESSAGES):
        time.sleep(0.1)
        fate.strike(race.count_sent())
    producer.wait()
    seconds, unknown = time.monotonic() - began, race.states().get("UNKNOWN", 0)
    race.crew.dismiss()
    account = race.settle()
    taken = {kind: race.taken_by(kind) for kind in set(KINDS)}
    print(
        f"{MESSAGES} messages in {seconds:.0f} s, {fate.kills} kills of workers with {THREADS} "
        f"threads, {unknown} unknown before the sync; leased by {taken}; {account}"
    )
    assert unknown <= THREADS * fate.kills
    account.check(unknown=None)
    assert account.asked == MESSAGES
    assert fate.kills > 0
    assert not fate.broker
    assert all(taken.values())
