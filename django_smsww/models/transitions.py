"""Changes of state (moves) after responses and callbacks of the gateway.

After a response, a row moves only if it is still SENDING under the worker's lease. So this move
does not undo a newer change by a callback or by another worker. There is one exception: see
Note [Whose id it is].
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import IntegrityError, connections, transaction
from django.db.models import Q
from django.db.models.expressions import RawSQL

from ..clock import database_now
from ..exceptions import SMSError, SMSOutcomeUnknown
from ..sms import SendResult
from ..states import PROVIDER, Cause, State, sources
from . import provider_facts as facts
from .announcing import announce_row
from .callback import Callback, Outcome
from .commit import after_commit, in_transaction
from .event import Event
from .queryset import NO_ERROR, MessageQuerySet, error_columns
from .sql import (
    Values,
    adapted,
    assignments,
    expression,
    field_of,
    update_and_insert,
    update_each,
    update_one,
)

if TYPE_CHECKING:
    from .message import Message


class OvertakenError(Exception):
    """Another process has changed one of the rows. None of the moves was made."""


@dataclass(slots=True)
class Move:
    """A change of a row's state, and of other columns together with the state.

    Attributes:
        error: the error of a failed attempt. An event for this error is stored, too.
        provider_id: if set, the row moves only if it has this provider id, or no provider id.
    """

    message: Message
    target: State
    cause: Cause = Cause.SENDING
    changes: dict[str, Any] = field(default_factory=dict)
    error: SMSError | None = None
    provider_id: str = ""


def accepted(message: Message, result: SendResult, using: str) -> Move:
    changes = facts.merge(type(message), result, using) | NO_ERROR
    return Move(message, state_in(result), Cause.EVIDENCE, changes, provider_id=result.provider_id)


def validated(message: Message, result: SendResult, using: str) -> Move:
    """Return the move to VALIDATED, for an accepted dry run. The move sets no provider id."""
    changes = facts.merge(type(message), result.nameless(), using) | NO_ERROR
    return Move(message, State.VALIDATED, changes=changes)


def failed(message: Message, error: SMSError, **changes: Any) -> Move:
    return Move(message, end_of(message, error), changes=changes, error=error)


def postponed(message: Message, error: SMSError, until: datetime) -> Move:
    """Return the move to QUEUED, to retry a message that was certainly not sent.

    The retry is due at the time in `until`.
    """
    changes = {"next_attempt_at": until, "lease_token": None, "lease_until": None}
    return Move(message, State.QUEUED, changes=changes, error=error)


def put_back(message: Message) -> Move:
    """Return a `Move` to QUEUED for a row whose request never began. The lease stays."""
    return Move(message, State.QUEUED, changes={"attempts": expression("attempts - 1")})


def end_of(message: Message, error: SMSError) -> State:
    """Return the state after this error: UNKNOWN if the message may have been sent, else FAILED."""
    may_be_sent = isinstance(error, SMSOutcomeUnknown) and not message.dry_run
    return State.UNKNOWN if may_be_sent else State.FAILED


# Many rows


def move_together(moves: Sequence[Move], token: UUID, using: str) -> None:
    """Make all these moves or none, and store an event for each failed attempt.

    Raises:
        OvertakenError: a row is no longer SENDING under this lease, or has another provider id.
    """
    rows = MessageQuerySet(type(moves[0].message), using=using)
    with transaction.atomic(using=using, savepoint=False):
        for (changes, where), params in _statements(moves, token, rows).items():
            if update_each(rows.model, changes, where, params, using) != len(params):
                raise OvertakenError
        _note_attempts([move for move in moves if move.error is not None], using)
        for target in {move.target for move in moves}:
            moved = [move.message.pk for move in moves if move.target is target]
            rows.with_keys(moved).announce(target, is_first=True)


def move_alone(move: Move, token: UUID, using: str) -> Message:
    """Make one move outside a transaction, and return the row as it is stored.

    The move must have no error, because this function stores no event.

    Raises:
        OvertakenError: the row is no longer SENDING under this lease, or has another provider id.
    """
    rows = MessageQuerySet(type(move.message), using=using)
    changes, where, params = _Update(rows, token, move.target).of(move)
    row = update_one(move.message, changes, where, params, using)
    if row is None:
        raise OvertakenError
    announce_row(row, is_first=True)
    return row


def _note_attempts(moves: Sequence[Move], using: str) -> None:
    if not moves:
        return
    now = database_now(using)  # the shared clock: reconcile compares it with `claimed_at`
    Event.objects.using(using).bulk_create(
        Event(
            message_id=move.message.pk,
            kind=Event.Kind.ATTEMPT,
            state=move.target,
            created_at=now,
            **error_columns(move.error),
        )
        for move in moves
        if move.error
    )


def _statements(
    moves: Iterable[Move], token: UUID, rows: MessageQuerySet
) -> dict[tuple[str, str], list[list[Any]]]:
    """Map each UPDATE statement to its parameters: one list of parameters for each row.

    A statement is a pair: the SQL after SET, and the SQL after WHERE.
    """
    statements: dict[tuple[str, str], list[list[Any]]] = defaultdict(list)
    update_of = cache(partial(_Update, rows, token))
    # In the order of the keys: two workers that move the same rows wait for each other, and do
    # not deadlock.
    for move in sorted(moves, key=lambda move: move.message.pk):
        if State.SENDING not in sources(move.target, move.cause):
            raise ValueError(f"Nothing moves from SENDING to {move.target} for {move.cause.value}.")
        changes, where, params = update_of(move.target).of(move)
        statements[changes, where].append(params)
    return statements


class _Update:
    """The UPDATE statement for moves to one state; see Note [Why not the ORM] in `sql.py`."""

    def __init__(self, rows: MessageQuerySet, token: UUID, target: State) -> None:
        self.model, self.connection = rows.model, connections[rows.db]
        lease = adapted(field_of(self.model, "lease_token"), token, self.connection)
        self.where = [State.SENDING.value, lease]
        # These are equal in all rows, so they are made once.
        self.fixed = rows.columns_of(target, {})
        self.changes, self.params = assignments(self.model, self.fixed, self.connection)

    def of(self, move: Move) -> tuple[str, str, list[Any]]:
        """Return the SQL after SET, the SQL after WHERE, and the parameters for this move."""
        errors = error_columns(move.error) if move.error else {}
        values = errors | move.changes
        own = {name: value for name, value in values.items() if name not in self.fixed}
        changes, params = assignments(self.model, own, self.connection)
        where = "id = %s AND state = %s AND lease_token = %s"
        params += [*self.params, move.message.pk, *self.where]
        if move.provider_id:
            where += " AND (provider_id IS NULL OR provider_id = %s)"
            params.append(move.provider_id)
        return f"{changes}, {self.changes}" if own else self.changes, where, params


# One row, by a callback


def move_and_note(rows: MessageQuerySet, named: Values, result: SendResult, entry: Values) -> bool:
    """Change the state of one row, and store the callback `entry`. One statement does both.

    `named` finds the row: it maps names of fields to the values that the row has. The statement
    changes the row only if two conditions are true: the row has the provider id that is in
    `result`, and the data in the row is older than `result`. Return False if nothing changed. The
    caller then uses `MessageQuerySet.accept`. Only PostgreSQL can run this statement: on other
    databases, the caller always uses `accept`.
    """
    target, model = state_in(result), rows.model
    accepted = sources(target, Cause.EVIDENCE) & PROVIDER
    if not accepted:
        return False
    merged = facts.merge(model, result, rows.db, is_known=True)
    changes = rows.columns_of(target, merged | NO_ERROR)
    where = _is_movable(named, accepted, facts.knows_older(model, result, rows.db))
    try:
        # With a savepoint: if the database refuses the entry, the caller's transaction can go on.
        with transaction.atomic(using=rows.db) if in_transaction(rows.db) else nullcontext():
            row = update_and_insert(model, changes, where, (Callback, entry), rows.db)
    except IntegrityError:  # an equal callback is stored
        return False
    if row:
        after_commit(rows.db, announce_row, row, False)
    return row is not None


def _is_movable(named: Values, old: frozenset[State], knows_older: RawSQL) -> RawSQL:
    """Return the SQL condition that finds the row if it has one of the `old` states."""
    # No parameters: psycopg parses a statement again each time if it has more than 50 of them.
    states = ", ".join(sorted(f"'{state.value}'" for state in old))
    where = [*(f"{name} = %s" for name in named), "NOT dry_run", f"state IN ({states})"]
    params = [*named.values(), *knows_older.params]
    return expression(" AND ".join([*where, knows_older.sql]), params)


# The answer to a send overrules callbacks


def overrule_callbacks(message: Message, result: SendResult) -> bool:
    """Replace a wrong provider id, which came with a callback. Return True if the row changed.

    # Note [Whose id it is]
    The response to our own request is always about the message of this row. A callback can name the
    id of another message: our signature covers only our reference, and not the provider's id. So if
    a callback came before the response and has another provider id, the response is right. The
    state and the prices that came with the wrong id are wrong, too. The response replaces them, and
    the outcome of the callbacks with the wrong id becomes MISMATCH.
    """
    rows = MessageQuerySet(type(message), using=message._state.db).filter(pk=message.pk)
    with transaction.atomic(using=rows.db):
        corrected = _replace_facts(rows, result, Q(claimed_at=message.claimed_at))
        if corrected:
            heard = Callback.objects.using(rows.db).filter(reference=message.reference)
            others = heard.exclude(provider_id__in=("", result.provider_id))
            others.update(outcome=Outcome.MISMATCH)
    return corrected


def _replace_facts(rows: MessageQuerySet, result: SendResult, same_attempt: Q) -> bool:
    rows.filter(same_attempt, dry_run=False).take_over(result.provider_id)
    free = rows.free_id(result.provider_id) & Q(dry_run=False) & same_attempt
    changes = facts.replace(result) | NO_ERROR
    target = state_in(result)
    moved = rows.advance(target, Cause.ANSWER, where=free, **changes)
    return moved or bool(rows.filter(free, state=target).update(**changes))


def state_in(result: SendResult) -> State:
    """Return the provider's state as a `State`, or NEW if this package does not know it."""
    return State(result.state) if result.state in PROVIDER else State.NEW
