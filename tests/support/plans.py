"""How SQLite reads a table, whichever words its version explains that in."""

from __future__ import annotations

import re
from typing import NamedTuple

from django.db import connection

_READ = re.compile(r'^(SCAN|SEARCH) (?:TABLE )?"?(\w+)"?(?:.*? INDEX "?(\w+))?')


class Read(NamedTuple):
    """One loop over a table: over the rows that an index finds, or over all."""

    verb: str
    table: str
    index: str | None


def reads(sql: str, table: str) -> list[Read]:
    """Return how this statement reads a table, from the plan that SQLite explains."""
    plan = connection.cursor().execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()
    found = (_READ.match(detail) for *_, detail in plan)
    return [read for each in found if each and (read := Read(*each.groups())).table == table]
