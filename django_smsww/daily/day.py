"""The figures of one day, and how they are kept as JSON."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

KINDS = ("state", "country", "tag", "alias")
"""What the sums are told apart by, each for itself."""


@dataclass
class Sums:
    """What adds up; money in EUR."""

    messages: int = 0
    segments: int = 0
    cost: Decimal = Decimal(0)
    penalties: Decimal = Decimal(0)

    def add(self, other: Sums) -> None:
        """Add what another group came to."""
        self.messages += other.messages
        self.segments += other.segments
        self.cost += other.cost
        self.penalties += other.penalties


def new_groups() -> dict[str, Sums]:
    """Return sums that begin at zero for each name."""
    return defaultdict(Sums)


@dataclass(frozen=True, slots=True)
class Times:
    """How long deliveries took, in seconds.

    Attributes:
        count: how many were looked at.
        thinned: of how many deliveries one was looked at.
    """

    median: float
    slow: float
    count: int
    thinned: int = 1

    @classmethod
    def of(cls, seconds: list[float], thinned: int = 1) -> Times | None:
        """Return the median, and what 95 of a hundred did not exceed, by the nearest rank."""
        if not seconds:
            return None
        ordered = sorted(seconds)
        return cls(_rank(ordered, 50), _rank(ordered, 95), len(ordered), thinned)


@dataclass
class Day:
    """One day in numbers; dry runs are in none of them."""

    groups: dict[str, dict[str, Sums]] = field(
        default_factory=lambda: {kind: new_groups() for kind in KINDS}
    )
    times: Times | None = None

    @property
    def messages(self) -> int:
        """How many there were."""
        return sum(one.messages for one in self.groups["state"].values())

    def add(self, names: Mapping[str, str], sums: Sums) -> None:
        """Add a group of messages that have state, country, tag and alias in common."""
        for kind in KINDS:
            self.groups[kind][names[kind]].add(sums)

    def as_json(self) -> dict[str, Any]:
        """Return what `from_json()` makes the same day of."""
        groups = {
            kind: {
                name: [one.messages, one.segments, str(one.cost), str(one.penalties)]
                for name, one in named.items()
            }
            for kind, named in self.groups.items()
        }
        return {"groups": groups, "times": asdict(self.times) if self.times else None}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Day:
        """Return the day that was kept."""
        day = cls(times=Times(**kept["times"]) if kept["times"] else None)
        for kind, named in kept["groups"].items():
            for name, (messages, segments, cost, penalties) in named.items():
                sums = Sums(messages, segments, Decimal(cost), Decimal(penalties))
                day.groups[kind][name] = sums
        return day


def _rank(ordered: list[float], percent: int) -> float:
    return ordered[-(-len(ordered) * percent // 100) - 1]
