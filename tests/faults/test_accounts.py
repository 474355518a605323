"""The accounts themselves: each way in which they can fail to balance is noticed."""

import pytest

from .accounts import balance

BOTH = {"reference": "a", "recipient": "+393331234567", "segments": 1, "total_price": "0.05"}
ROW = BOTH | {"state": "DELIVERED", "provider_id": "1"}
LINE = BOTH | {"state": "DELIVERED", "id": "1"}

BROKEN = {
    "a message whose row says FAILED": ([ROW | {"state": "FAILED"}], [LINE], "lost"),
    "a message whose row says QUEUED": ([ROW | {"state": "QUEUED"}], [LINE], "lost"),
    "a message without a row": ([], [LINE], "lost"),
    "a reference accepted twice": ([ROW], [LINE, LINE | {"id": "2"}], "doubled"),
    "a row that was never accepted": ([ROW], [], "invented"),
    "a row on its way for ever": ([ROW | {"state": "SENDING"}], [LINE], "stuck"),
    "another id": ([ROW | {"provider_id": "2"}], [LINE], "wrong"),
    "another final state": ([ROW | {"state": "EXPIRED"}], [LINE], "wrong"),
    "another number of segments": ([ROW | {"segments": 2}], [LINE], "wrong"),
    "another price": ([ROW | {"total_price": None}], [LINE], "wrong"),
    "an outcome nobody knows": ([ROW | {"state": "UNKNOWN"}], [LINE], "unknown"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_does_not_balance_is_noticed(case):
    rows, ledger, column = BROKEN[case]
    account = balance(rows, ledger, [])
    assert getattr(account, column) == 1
    with pytest.raises(AssertionError):
        account.check()


@pytest.mark.parametrize("outcome", ["refused", "accepted"])
def test_what_was_refused_is_told_from_what_was_not_sent(outcome):
    rows = [ROW | {"state": "FAILED"}]
    account = balance(rows, [], [{"reference": "a", "outcome": outcome}])
    account.check()
    assert (account.refused, account.not_sent) == ((1, 0) if outcome == "refused" else (0, 1))
