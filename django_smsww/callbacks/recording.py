"""Apply a callback to its message, and store the callback."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, connections, transaction
from django.utils import timezone

from ..models import Callback, Message, MessageQuerySet, Outcome
from ..models import sql as statements
from ..models.transitions import move_and_note
from ..states import Cause
from .signed import SignedCallback

MAX_CALLBACKS = 100
"""From this number of rows for one message on, only a change of state gets another row."""


def record(callback: SignedCallback, *, using: str) -> Outcome:
    """Apply the callback to its message, store the callback, and return the effect."""
    try:
        return _record(callback, using)
    except IntegrityError:
        # Another request has just stored an equal payload, or the same provider id.
        return _record(callback, using)


def _record(callback: SignedCallback, using: str) -> Outcome:
    if callback.agrees and _is_moved_at_once(callback, using):
        return Outcome.MOVED
    rows = Message.objects.using(using).filter(**_name_of(callback))
    with transaction.atomic(using=using):
        outcome = _apply(rows, callback)
        _keep(rows, callback, outcome)
    return outcome


def _is_moved_at_once(callback: SignedCallback, using: str) -> bool:
    if connections[using].vendor != "postgresql":
        return False
    # The statement has the row's id. A subquery for it would take PostgreSQL longer to plan than
    # to run.
    message = statements.expression("id")
    entry = _entry(callback, Outcome.MOVED, timezone.now(), message)
    rows = Message.objects.using(using)
    return move_and_note(rows, _name_of(callback), callback.result, entry)


def _name_of(callback: SignedCallback) -> dict[str, Any]:
    return {"reference": callback.reference, "environment": callback.environment}


def _apply(rows: MessageQuerySet, callback: SignedCallback) -> Outcome:
    """Apply the callback to the row of its message, and return the effect.

    The transaction must begin with an UPDATE, even if this UPDATE changes nothing. On SQLite, a
    transaction that began with a SELECT cannot write after another transaction has written.
    """
    if callback.agrees:
        return rows.accept(callback.result, Cause.EVIDENCE)
    rows.update(reference=callback.reference)
    return Outcome.MISMATCH


def _keep(rows: MessageQuerySet, callback: SignedCallback, outcome: Outcome) -> None:
    # A callback that changes the state always gets a row: a state changes only a few times.
    counted = None if outcome is Outcome.MOVED else _counted_by(callback, rows.db)
    if counted:
        Callback.objects.using(rows.db).filter(pk=counted).count_again()
        return
    message = statements.subquery(Message, ["id"], _name_of(callback), rows.db)
    entry = _entry(callback, outcome, now := timezone.now(), message)
    times = statements.expression(f"{statements.table_of(Callback, rows.db)}.times + 1")
    again = {"times": times, "last_received_at": now}
    # An equal callback keeps its first outcome, unless the state changes only now.
    again |= {"message": message, "outcome": outcome} if outcome is Outcome.MOVED else {}
    statements.upsert(Callback, entry, ("reference", "source", "digest"), again, rows.db)


def _counted_by(callback: SignedCallback, using: str) -> int | None:
    """Return the primary key of the row whose counter this callback raises. None means a new row.

    - If an equal callback is stored, return the row of the equal callback.
    - If MAX_CALLBACKS other callbacks are stored, return the newest row.
    - If fewer are stored, return None.
    """
    known = _known(callback.reference, using)
    newest = max(known.values()) if len(known) >= MAX_CALLBACKS else None
    return known.get(callback.digest, newest)


def _known(reference: UUID, using: str) -> dict[str, int]:
    """Return a dict of the message's stored callbacks, from digest to primary key."""
    values = {"reference": reference, "source": Callback.Source.CALLBACK}
    return dict(statements.select(Callback, ["digest", "id"], values, using))


def _entry(
    callback: SignedCallback, outcome: Outcome, now: datetime, message: Any
) -> dict[str, Any]:
    return {
        "message": message,
        "outcome": outcome.value,
        "reference": callback.reference,
        "source": Callback.Source.CALLBACK.value,
        "provider_id": callback.result.provider_id,
        "state": callback.result.state,
        "payload": callback.payload,
        "digest": callback.digest,
        "times": 1,
        "received_at": now,
        "last_received_at": now,
    }
