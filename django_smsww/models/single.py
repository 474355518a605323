"""Insert the row of one message, or make the row SENDING, with a single statement.

# Note [What holds a message back]
Many conditions can hold a message back: for example, its alias is suspended, or its number is on
the do-not-send list. A condition may change between two statements. So the statement that makes a
row SENDING checks all conditions in its own WHERE clause. If a condition holds the message back,
`claim()` and `insert_sending()` return None. Then a `Worker` in this process handles the message.
The `Worker` checks each condition separately, so it can tell the reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import DataError, IntegrityError, connections
from django.db.models.expressions import RawSQL

from ..clock import DAY_SECONDS, clock_sql, database_now, window_of
from ..states import State
from . import lease as leases
from .counters import TICKS_PER_SECOND, Counter
from .queryset import MessageQuerySet
from .sql import adapted, assignments, expression, field_of, insert_one, table_of, update_one
from .suppression import Suppression
from .suspension import Suspension

if TYPE_CHECKING:
    from .message import Message

REFUSALS = (IntegrityError, DataError)
"""Errors after which an INSERT has certainly written nothing, so it is safe to try again."""


def insert_queued(row: Message, using: str) -> Message | None:
    """Insert a QUEUED row, unless its number is on the do-not-send list or its key is used."""
    return insert_one(row, {}, _all(_is_new(row, using)), using)


def insert_sending(row: Message, token: UUID, timeline: str, using: str) -> Message | None:
    """Insert the SENDING row of a message. Return None if a condition holds the message back.

    Args:
        timeline: the `Counter.scope` of the account's rate limit. A response with the status 429
            starts a pause, and this counter stores the pause's end. With "", no counter is checked.
    """
    changes = _sending(row, token, using) | {"attempts": 1}
    field = field_of(type(row), "expires_at")
    expires_at = expression("%s", [adapted(field, row.expires_at, connections[using])])
    in_time = _is_in_time(expires_at, using)
    where = _all([in_time, *_is_new(row, using), *_is_free(row, timeline, using)])
    try:
        return insert_one(row, changes, where, using)
    except REFUSALS:
        return None


def claim(row: Message, token: UUID, timeline: str, using: str) -> Message | None:
    """Make a QUEUED row SENDING. Return None if a lease or a condition holds the message back.

    Args:
        timeline: as for `insert_sending()`.
    """
    values = _sending(row, token, using) | {"attempts": expression("attempts + 1")}
    changes, params = assignments(type(row), values, connections[using])
    clock, now = clock_sql(using)
    mine = f"id = %s AND state = %s AND (lease_until IS NULL OR lease_until < {clock})"
    nobodys = expression(mine, [row.pk, State.QUEUED.value, *now])
    in_time = _is_in_time(expression("expires_at"), using)
    where = _all([nobodys, in_time, _is_wanted(row, using), *_is_free(row, timeline, using)])
    return update_one(row, changes, where.sql, [*params, *where.params], using)


def _sending(row: Message, token: UUID, using: str) -> dict[str, Any]:
    changes = {
        "lease_token": token,
        "lease_until": expression(*clock_sql(using, leases.SECONDS)),
        "claimed_at": expression(*clock_sql(using)),
        "redirected_to": None,
    }
    return MessageQuerySet(type(row), using=using).columns_of(State.SENDING, changes)


# What holds a message back


def _is_new(row: Message, using: str) -> list[RawSQL]:
    conditions = [_is_wanted(row, using)]
    if row.key:
        key = connections[using].ops.quote_name("key")  # a reserved word of MariaDB
        named = f"{key} = %s AND alias = %s AND dry_run = %s"
        used = _no_row(type(row), named, [row.key, row.alias, row.dry_run], using)
        conditions.append(used)
    return conditions


def _is_wanted(row: Message, using: str) -> RawSQL:
    return _no_row(Suppression, "recipient = %s", [row.recipient], using)


def _is_free(row: Message, timeline: str, using: str) -> list[RawSQL]:
    unsuspended = _is_unsuspended(row, using)
    return [unsuspended, _is_rested(timeline, using)] if timeline else [unsuspended]


def _is_unsuspended(row: Message, using: str) -> RawSQL:
    # A suspension whose time is over counts, too: only a worker sends the probe that lifts it.
    scopes = ["alias", f"text:{row.fingerprint}", f"batch:{row.batch}"]
    where = "alias = %s AND environment = %s AND scope IN (%s, %s, %s)"
    return _no_row(Suspension, where, [row.alias, row.environment, *scopes], using)


def _is_in_time(expires_at: RawSQL, using: str) -> RawSQL:
    clock, now = clock_sql(using)
    return expression(f"{expires_at.sql} > {clock}", [*expires_at.params, *now])


def _is_rested(timeline: str, using: str) -> RawSQL:
    """Return SQL that is true if the account's pause after a response 429 is over."""
    connection = connections[using]
    window, (clock, now) = connection.ops.quote_name("window"), clock_sql(using)
    if connection.vendor == "postgresql":
        # If a 429 lasts into the next day, the counter of that day has it, too.
        today = f"{window} > {clock} - interval '1 day' AND {window} <= {clock}"
        ticks = f"extract(epoch from {clock} - {window}) * {TICKS_PER_SECOND}"
        where, params = f"scope = %s AND {today} AND used > {ticks}", [timeline, *now, *now, *now]
        return _no_row(Counter, where, params, using)
    moment = database_now(using)
    begins, _ends = window_of(moment, DAY_SECONDS)
    spent = int((moment - begins).total_seconds() * TICKS_PER_SECOND)
    begun = connection.ops.adapt_datetimefield_value(begins)
    where = f"scope = %s AND {window} = %s AND used > %s"
    return _no_row(Counter, where, [timeline, begun, spent], using)


def _no_row(model: Any, where: str, params: list[Any], using: str) -> RawSQL:
    table = table_of(model, using)
    return expression(f"NOT EXISTS (SELECT 1 FROM {table} WHERE {where})", params)  # noqa: S608


def _all(conditions: list[RawSQL]) -> RawSQL:
    params = [param for condition in conditions for param in condition.params]
    return expression(" AND ".join(condition.sql for condition in conditions), params)
