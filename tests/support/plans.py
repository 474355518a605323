"""How a database reads a table, whichever words its version explains that in."""

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from django.db import connection

_READ = re.compile(r'^(SCAN|SEARCH) (?:TABLE )?"?(\w+)"?(?:.*? INDEX "?(\w+))?')


class Read(NamedTuple):
    """One loop over a table: over the rows that an index finds, or over all."""

    verb: str
    table: str
    index: str | None


def reads(sql: str, table: str, params: Sequence[Any] = ()) -> list[Read]:
    """Return how this statement reads a table, from the plan that SQLite explains."""
    plan = _run(f"EXPLAIN QUERY PLAN {sql}", params)
    found = (_READ.match(detail) for *_, detail in plan)
    return [read for each in found if each and (read := Read(*each.groups())).table == table]


class Plan(NamedTuple):
    """The indexes that a statement uses, by the database's names; and if it reads a whole table."""

    indexes: set[str]
    is_whole: bool


def plan_of(sql: str, params: Sequence[Any], table: str) -> Plan:
    """Return the plan of a query of one table, on each database."""
    if connection.vendor == "postgresql":
        return _plan_in(_run(f"EXPLAIN (FORMAT JSON) {sql}", params))
    if connection.vendor == "mysql":
        steps = _run(f"EXPLAIN {sql}", params)
        used = {name for step in steps for name in re.findall(r"\w+", step[5] or "")}
        return Plan(used, any(step[3] == "ALL" for step in steps))
    found = reads(sql, table, params)
    whole = any(read.verb == "SCAN" and not read.index for read in found)
    return Plan({read.index for read in found if read.index}, whole)


def generic_plan_of(sql: str, params: Sequence[Any]) -> Plan:
    """Return the plan that PostgreSQL makes before it knows the values of the parameters."""
    places = iter(range(1, len(params) + 1))
    numbered = re.sub("%s", lambda _match: f"${next(places)}", sql)
    values = f"({', '.join(['%s'] * len(params))})" if params else ""
    with connection.cursor() as cursor:
        cursor.execute(f"PREPARE one AS {numbered}")
        cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        cursor.execute(f"EXPLAIN (FORMAT JSON) EXECUTE one{values}", params)
        rows = cursor.fetchall()
        cursor.execute("DEALLOCATE one")
    return _plan_in(rows)


def _run(sql: str, params: Sequence[Any]) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql, params or None)
        return cursor.fetchall()


def _plan_in(rows: Any) -> Plan:
    [[plan]] = rows
    nodes = [(json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]]
    for node in nodes:
        nodes += node.get("Plans", [])
    used = {node["Index Name"] for node in nodes if "Index Name" in node}
    return Plan(used, any(node["Node Type"] == "Seq Scan" for node in nodes))
