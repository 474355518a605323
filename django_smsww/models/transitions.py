"""Many rows moved together: what a worker writes down when answers have come.

A conditional UPDATE for each row, and one round trip for all of them where the driver can do that.
Every row has to be where the worker left it, SENDING and under its lease: so nothing is undone
that a callback or another worker has done meanwhile.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import connections, models, transaction
from django.db.models.expressions import RawSQL
from django.utils import timezone

from ..clock import database_now
from ..exceptions import SMSError, SMSOutcomeUnknown
from ..sms import SendResult
from ..states import PROVIDER, Cause, State, sources
from . import provider_facts as facts
from .event import Event
from .queryset import NO_ERROR, MessageQuerySet, changes_of, error_columns
from .sql import assignments, update_each

if TYPE_CHECKING:
    from .message import Message


class OvertakenError(Exception):
    """A row is no longer where the worker left it, so none of these was moved."""


@dataclass(slots=True)
class Move:
    """Where an answer moves a row, and what it changes besides.

    Attributes:
        error: why, if it is to be noted as an attempt that failed.
        provider_id: the provider's name of the message; no other one may be on the row already.
    """

    message: Message
    target: State
    cause: Cause = Cause.SENDING
    changes: dict[str, Any] = field(default_factory=dict)
    error: SMSError | None = None
    provider_id: str = ""


def accepted(message: Message, result: SendResult, using: str) -> Move:
    """Return the move of a message that the provider has."""
    target = State(result.state) if result.state in PROVIDER else State.NEW
    changes = facts.merge(type(message), result, using) | NO_ERROR
    return Move(message, target, Cause.EVIDENCE, changes, provider_id=result.provider_id)


def validated(message: Message, result: SendResult, using: str) -> Move:
    """Return the move of a dry run that was accepted: nothing was sent, so it has no id."""
    changes = facts.merge(type(message), result.nameless(), using) | NO_ERROR
    return Move(message, State.VALIDATED, changes=changes)


def failed(message: Message, error: SMSError, **changes: Any) -> Move:
    """Return the move of a message that has ended with this error."""
    return Move(message, end_of(message, error), changes=changes, error=error)


def postponed(message: Message, error: SMSError, until: datetime) -> Move:
    """Return the move of a message that certainly was not sent, to be tried again at `until`."""
    changes = {"next_attempt_at": until, "lease_token": None, "lease_until": None}
    return Move(message, State.QUEUED, changes=changes, error=error)


def put_back(message: Message) -> Move:
    """Return the move of a message whose request was never begun; it stays under our lease."""
    attempts = RawSQL("attempts - 1", (), models.IntegerField())
    return Move(message, State.QUEUED, changes={"attempts": attempts})


def end_of(message: Message, error: SMSError) -> State:
    """Return how an error ends a message: UNKNOWN if it may have been sent all the same."""
    may_be_sent = isinstance(error, SMSOutcomeUnknown) and not message.dry_run
    return State.UNKNOWN if may_be_sent else State.FAILED


def move_together(moves: Sequence[Move], token: UUID, using: str) -> None:
    """Make these moves, all of them or none, and note in the ledger the attempts that failed.

    Raises:
        OvertakenError: one of the rows is no longer SENDING under this lease.
    """
    with transaction.atomic(using=using, savepoint=False):
        for (changes, where), rows in _statements(moves, token, using).items():
            if update_each(type(moves[0].message), changes, where, rows, using) != len(rows):
                raise OvertakenError
        _note_attempts([move for move in moves if move.error is not None], using)
        for target in {move.target for move in moves}:
            rows_of = MessageQuerySet(type(moves[0].message), using=using)
            moved = [move.message.pk for move in moves if move.target is target]
            rows_of.filter(pk__in=moved).announce(target, is_first=True)


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
    moves: Iterable[Move], token: UUID, using: str
) -> dict[tuple[str, str], list[list[Any]]]:
    """Return what to SET and WHERE, each with the parameters of its rows; most rows share one."""
    statements: dict[tuple[str, str], list[list[Any]]] = defaultdict(list)
    now = timezone.now()
    # In the same order where they run one by one, so that two who move the same rows wait for each
    # other, and do not deadlock.
    for move in sorted(moves, key=lambda move: move.message.pk):
        if State.SENDING not in sources(move.target, move.cause):
            raise ValueError(f"Nothing moves from SENDING to {move.target} for {move.cause.value}.")
        changes, where, row = _update(move, token, now, using)
        statements[changes, where].append(row)
    return statements


def _update(move: Move, token: UUID, now: datetime, using: str) -> tuple[str, str, list[Any]]:
    """Return the UPDATE of one row. The ORM would take a millisecond to write it."""
    connection = connections[using]
    errors = error_columns(move.error) if move.error else {}
    values = changes_of(move.target, now, {**errors, **move.changes})
    changes, row = assignments(type(move.message), values, connection)
    where = "id = %s AND state = %s AND lease_token = %s"
    lease = facts.field_of(type(move.message), "lease_token").get_db_prep_save(token, connection)
    row += [move.message.pk, State.SENDING.value, lease]
    if move.provider_id:
        where += " AND (provider_id IS NULL OR provider_id = %s)"
        row.append(move.provider_id)
    return changes, where, row
