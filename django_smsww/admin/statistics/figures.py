"""The numbers of a period: of the rows that are here, and of those that were pruned."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from ...daily import Day, Sums, Times, new_groups, read_days
from ...states import State

# What may be told apart without colour is five patterns, so states that ask for the same are one.
GROUPS: dict[str, tuple[str | Promise, frozenset[str]]] = {
    "delivered": (_("Delivered"), frozenset({State.DELIVERED})),
    "lost": (
        _("Not delivered"),
        frozenset({State.UNDELIVERABLE, State.EXPIRED, State.REJECTED}),
    ),
    "failed": (_("Failed or cancelled"), frozenset({State.FAILED, State.CANCELLED})),
    "unknown": (_("Outcome unknown"), frozenset({State.UNKNOWN})),
    "way": (
        _("Under way"),
        frozenset({State.QUEUED, State.SENDING, State.NEW, State.PENDING, State.VALIDATED}),
    ),
}
GROUP_OF = {state: name for name, (_label, states) in GROUPS.items() for state in states}


@dataclass
class Figures:
    """A period in numbers; dry runs are in none of them."""

    by_date: dict[date, Day]
    missing: int = 0

    @classmethod
    def read(cls, first: date, last: date, *, seconds: float | None = None) -> Figures:
        """Read the numbers of these days, the last one included.

        After so many seconds no further day is begun; `missing` is how many are left then.
        """
        days = read_days(first, last, seconds=seconds)
        return cls(days, (last - first).days + 1 - len(days))

    @property
    def days(self) -> list[date]:
        """The days of the period."""
        return list(self.by_date)

    @property
    def thinned(self) -> int:
        """Of how many deliveries the time of one was looked at, on the day with the most."""
        return max((one.thinned for one in map(self.times, self.by_date) if one), default=1)

    def times(self, day: date) -> Times | None:
        """Return how long the deliveries of a day took."""
        return self.by_date[day].times

    def of_group(self, day: date, name: str) -> Sums:
        """Return the sums of a day over the states of a group."""
        whole = Sums()
        for state, sums in self.by_date[day].groups["state"].items():
            if GROUP_OF.get(state, "way") == name:
                whole.add(sums)
        return whole

    def of_day(self, day: date) -> Sums:
        """Return the sums of a day over all states."""
        return together(self.by_date[day].groups["state"].values())

    def by(self, kind: str) -> dict[str, Sums]:
        """Return the sums of the period for each country, tag or alias."""
        whole = new_groups()
        for day in self.by_date.values():
            for name, sums in day.groups[kind].items():
                whole[name].add(sums)
        return whole

    def delivery_rate(self, day: date) -> float | None:
        """Return which part of what has ended was delivered, or None if nothing has."""
        delivered, lost = (self.of_group(day, name).messages for name in ("delivered", "lost"))
        ended = delivered + lost
        return delivered / ended if ended else None


def together(sums: Iterable[Sums]) -> Sums:
    """Return what all of these come to."""
    whole = Sums()
    for one in sums:
        whole.add(one)
    return whole
