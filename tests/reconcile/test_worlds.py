"""Worlds made up by chance, in which the truth is known: no claim of reconcile may be wrong."""

import random
from datetime import timedelta

import pytest

from django_smsww.models import Message, fingerprint
from django_smsww.reconcile import sync

from ..support.provider_list import LINE, ListedBackend, ago, entry
from ..support.sampling import slow_unless

pytestmark = pytest.mark.django_db(transaction=True)


class World:
    """Rows, what truly became of each, and a provider with habits of its own."""

    def __init__(self, seed):
        self.chance = random.Random(seed)
        self.echoes = self.chance.random() < 0.7
        self.stamped_since = self.chance.choice([1000, 1000, 150])
        self.clock = timedelta(minutes=self.chance.uniform(-10, 10))
        self.truth, self.entries = {}, []
        for _ in range(self.chance.randint(1, 40)):
            self.send()
        self.entries += [self.stranger() for _ in range(self.chance.randint(0, 2))]
        self.entries.sort(key=lambda one: one.created_at, reverse=True)

    def send(self):
        chance, minutes = self.chance, self.chance.uniform(0, 300)
        body = chance.choice(["Hello", "Hello", "Your code", "Else"])
        message = Message.objects.create(
            alias="default",
            environment=LINE,
            recipient=f"+39333000000{chance.randint(1, 9)}",
            body=body,
            fingerprint=fingerprint(body),
            state="UNKNOWN",
            created_at=ago(minutes),
            claimed_at=ago(minutes),
            expires_at=ago(0),
        )
        if chance.random() < 0.3:
            return  # it never arrived
        latency = timedelta(seconds=chance.uniform(0, 90))
        echo = self.echoes and minutes < self.stamped_since
        listed = entry(message, echo=echo, clock=self.clock + latency)
        self.truth[message.pk] = listed.provider_id
        self.entries.append(listed)
        if chance.random() < 0.6:
            rows = Message.objects.filter(pk=message.pk)
            rows.update(state="NEW", provider_id=listed.provider_id)

    def stranger(self):
        """Return the message of another program on the same account."""
        message = Message(recipient="+393330000001", environment=LINE, created_at=ago(50))
        # Without references it could not be told from ours; with them it must be.
        message.body = "Hello" if self.echoes else "From elsewhere"
        return entry(message, echo=False, clock=self.clock)

    def provider(self):
        chance, late = self.chance, timedelta(minutes=self.chance.choice([0, 0, 1, 20]))
        shown = [one for one in self.entries if one.created_at < ago(0) + self.clock - late]
        order = chance.choice([1, 1, -1])
        backend = ListedBackend(*shown[::order], page_size=chance.choice([2, 5, 50, 100]))
        if order == 1 and chance.random() < 0.3:
            backend.on_page = lambda number: backend.entries.insert(0, self.stranger())
        if chance.random() < 0.1:
            backend.on_page = lambda number: backend.entries and backend.entries.pop(0)
        return backend


@pytest.mark.parametrize("seed", slow_unless(lambda seed: seed < 5, range(15)))
def test_no_claim_is_wrong(seed):
    world = World(seed)
    for _ in range(2):
        sync(world.provider())
    for row in Message.objects.exclude(state="UNKNOWN"):
        assert (row.state == "FAILED") == (row.pk not in world.truth)
        assert row.provider_id == world.truth.get(row.pk)
