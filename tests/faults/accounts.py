"""The accounts of a run, with the gateway's own store as the judge of what was sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

from django_smsww.states import PROVIDER, SETTLED_BY_PROVIDER, State

Lines = Sequence[Mapping[str, Any]]

NOT_ACCEPTED = frozenset({State.QUEUED, State.FAILED, State.CANCELLED})
"""What a row that stands there says: the gateway does not have it."""


@dataclass(frozen=True)
class Account:
    """What became of the messages of one run; the last five must be zero.

    Attributes:
        asked: rows.
        accepted: rows that say so, and the gateway's store has the message.
        refused: rows that say that they were not accepted, and the gateway says that it refused.
        not_sent: the other rows that say that they were not accepted.
        unknown: rows that say that nobody knows.
        lost: messages in the store whose row says that they were not accepted, or has gone.
        doubled: messages in the store that were there already under the same reference.
        invented: rows that say that they were accepted, and the store has no such message.
        stuck: rows still on their way, though nobody is sending any more.
        wrong: messages about which row and store disagree in a field.
    """

    asked: int
    accepted: int
    refused: int
    not_sent: int
    unknown: int
    lost: int
    doubled: int
    invented: int
    stuck: int
    wrong: int

    def check(self, *, unknown: int | None = 0) -> None:
        """Assert that the accounts balance; None for `unknown` allows any number of those."""
        ways = self.accepted + self.refused + self.not_sent + self.unknown
        assert self.asked == ways, self
        assert (self.lost, self.doubled, self.invented, self.stuck, self.wrong) == (0,) * 5, self
        assert unknown is None or self.unknown == unknown, self

    @property
    def is_settled(self) -> bool:
        """Whether each row says what became of it."""
        return self.asked == self.accepted + self.refused + self.not_sent

    def __add__(self, other: Account) -> Account:
        names = [each.name for each in fields(self)]
        return Account(**{name: getattr(self, name) + getattr(other, name) for name in names})


NOTHING = Account(*[0] * len(fields(Account)))


def balance(rows: Lines, ledger: Lines, requests: Lines, *, priced: bool = True) -> Account:
    """Draw up the accounts of these rows.

    Args:
        rows: what `worker rows` prints.
        ledger, requests: what the simulator says of itself.
        priced: the gateway tells its prices.
    """
    accepted = {line["reference"]: line for line in ledger}
    refused = {line["reference"] for line in requests if line["outcome"] == "refused"}
    names = {row["reference"] for row in rows}
    ways = Counter(_way(row, accepted, refused) for row in rows)
    return Account(
        asked=len(rows),
        accepted=ways["accepted"],
        refused=ways["refused"],
        not_sent=ways["not sent"],
        unknown=ways["unknown"],
        lost=ways["lost"] + len(accepted.keys() - names),
        doubled=len(ledger) - len(accepted),
        invented=ways["invented"],
        stuck=ways["stuck"],
        wrong=sum(
            _is_wrong(row, accepted[row["reference"]], priced)
            for row in rows
            if row["state"] in PROVIDER and row["reference"] in accepted
        ),
    )


def _way(row: Mapping[str, Any], accepted: Mapping[str, Any], refused: set[str]) -> str:
    if row["state"] == State.UNKNOWN:
        return "unknown"
    is_accepted = row["reference"] in accepted
    if row["state"] in PROVIDER:
        return "accepted" if is_accepted else "invented"
    if row["state"] not in NOT_ACCEPTED:
        return "stuck"
    if is_accepted:
        return "lost"
    return "refused" if row["reference"] in refused else "not sent"


def _is_wrong(row: Mapping[str, Any], line: Mapping[str, Any], priced: bool) -> bool:
    """Tell whether a row says other things than the gateway, once that has nothing to add."""
    total = Decimal(line["total_price"] if priced else 0)
    facts = (
        row["provider_id"],
        row["recipient"],
        row["segments"],
        Decimal(row["total_price"] or 0),
    )
    if facts != (line["id"], line["recipient"], line["segments"], total):
        return True
    return line["state"] in SETTLED_BY_PROVIDER and row["state"] != line["state"]
