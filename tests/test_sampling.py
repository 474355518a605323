"""Which cases of a test run by default."""

import pytest

from .support.sampling import mark_further_cases


class Case:
    """A case as pytest has collected it."""

    def __init__(self, number, fixture, *marks):
        self.nodeid, self.fixturenames, self.marks = f"t.py::t[{number}]", [fixture], [*marks]

    def get_closest_marker(self, name):
        return name in self.marks

    def add_marker(self, name):
        self.marks.append(name)


@pytest.mark.parametrize(
    ("count", "fixture", "usual"),
    [(3, "db", [0, 1, 2]), (7, "db", [0, 3, 6]), (7, "settings", [*range(7)])],
)
def test_of_many_costly_cases_each_third_runs_by_default(count, fixture, usual):
    slow = Case("slow", fixture, "slow")
    cases = [Case(number, fixture) for number in range(count)]
    mark_further_cases([slow, *cases])
    assert [number for number, case in enumerate(cases) if not case.marks] == usual
    assert slow.marks == ["slow"]
