"""The clock of leases and time-outs."""

import time

import pytest

from django_smsww.clock import elapsed
from django_smsww.models.lease import SECONDS, Lease


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="there is no such clock here")
def test_a_lease_is_over_when_the_machine_slept_through_it(monkeypatch, db):
    lease = Lease.begin("default")
    awake = time.clock_gettime
    monkeypatch.setattr(
        time,
        "clock_gettime",
        lambda clock: awake(clock) + SECONDS * (clock == time.CLOCK_BOOTTIME),
    )
    assert lease.is_half_gone


def test_without_that_clock_the_monotonic_one_has_to_do(monkeypatch):
    monkeypatch.delattr(time, "CLOCK_BOOTTIME", raising=False)
    monkeypatch.setattr(time, "monotonic", lambda: 4711.0)
    assert elapsed() == 4711.0
