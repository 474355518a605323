"""The next step of a worker, for what it has at each stage."""

import pytest

from django_smsww.worker.plan import Load, Send, Wait, Write

SOON = {"flush_in": 0.3}


@pytest.mark.parametrize(
    ("threads", "batch", "most"), [(1, 1, 1), (4, 2, 6), (16, 12, 40), (32, 48, 128), (64, 96, 256)]
)
def test_a_few_more_rows_are_sending_than_there_are_threads(threads, batch, most):
    load = Load(threads=threads)
    assert (load.batch, load.most_sending) == (batch, most)


@pytest.mark.parametrize(
    ("load", "step"),
    [
        ({}, Wait(0)),
        # Rows are sent as long as a batch of them fits.
        ({"leased": 1}, Send(40)),
        ({"leased": 99, "sending": 28}, Send(12)),
        ({"leased": 99, "sending": 29}, Wait(5)),
        ({"leased": 99, "sending": 16, "unwritten": 13, **SOON}, Write()),
        ({"leased": 99, "sending": 16, "unwritten": 12}, Send(12)),
        ({"leased": 9, "sending": 48, "send_together": True}, Send(16)),
        ({"leased": 9, "sending": 49, "send_together": True}, Wait(5)),
        # Results wait for a batch, unless nothing else is to come or their time is over.
        ({"sending": 9, "unwritten": 11, **SOON}, Wait(0.3)),
        ({"sending": 9, "unwritten": 11}, Write()),
        ({"sending": 9, "unwritten": 12, **SOON}, Write()),
        ({"unwritten": 1, **SOON}, Write()),
        # A database that has refused them is asked again a little later.
        ({"unwritten": 99, "was_refused": True, **SOON}, Wait(0.3)),
        ({"unwritten": 99, "was_refused": True}, Write()),
        # The rate limit lets nothing leave, and the lease is looked at in between.
        ({"leased": 9, "pause": 0.2}, Wait(0.2)),
        ({"leased": 9, "pause": 60}, Wait(5)),
        ({"leased": 9, "sending": 9, "pause": 0.2}, Wait(0.2)),
        ({"leased": 9, "sending": 9, "unwritten": 1, "pause": 0.1, **SOON}, Wait(0.3)),
    ],
)
def test_the_next_step_of_a_worker_with_sixteen_threads(load, step):
    assert Load(threads=16, **load).plan() == step
