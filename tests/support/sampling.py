"""Parameters of which a few are tried by default, and all where slow tests run too."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import pytest

FEW = 3
COSTLY = {"db", "transactional_db", "door", "open_door", "own_connections"}
"""Fixtures of tests whose cases each use a database or a server."""


def slow_unless(is_sample: Callable[..., bool], values: Iterable[Any]) -> list[Any]:
    """Mark the values that are not in the sample as slow; a tuple is a value for each name."""
    rows = [value if isinstance(value, tuple) else (value,) for value in values]
    marks = {True: (), False: (pytest.mark.slow,)}
    return [pytest.param(*row, marks=marks[bool(is_sample(*row))]) for row in rows]


def mark_further_cases(items: Iterable[pytest.Item]) -> None:
    """Mark two thirds of the cases of a costly test as further ones, if it has more than a few."""
    tests = defaultdict(list)
    for item in items:
        if is_costly(item) and not item.get_closest_marker("slow"):
            tests[item.nodeid.partition("[")[0]].append(item)
    for cases in tests.values():
        for number, case in enumerate(cases):
            if len(cases) > FEW and number % 3:
                case.add_marker("further")


def is_costly(item: pytest.Item) -> bool:
    names = getattr(item, "fixturenames", ())
    return bool(COSTLY.intersection(names) or item.get_closest_marker("django_db"))
