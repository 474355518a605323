"""Move the row that a callback names, and keep the callback."""

from __future__ import annotations

from dataclasses import replace
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
"""How many different callbacks of one message are kept; the newest counts those beyond."""


def record(callback: SignedCallback, *, using: str) -> Outcome:
    """Move the row that the callback names, if it may move, and keep the callback."""
    try:
        return _record(callback, using)
    except IntegrityError:
        # Another request was first, with an equal payload or with the provider's id.
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
    rows, entry = Message.objects.using(using), _entry(callback, Outcome.MOVED, using)
    # The statement has the row: PostgreSQL needs longer to plan a subquery than to run it.
    values = {**entry.values, "message": statements.expression("id")}
    again = {**entry.again, "message": statements.expression("EXCLUDED.message_id")}
    entry = replace(entry, values=values, again=again)
    return move_and_note(rows, _name_of(callback), callback.result, entry)


def _name_of(callback: SignedCallback) -> dict[str, Any]:
    return {"reference": callback.reference, "environment": callback.environment}


def _apply(rows: MessageQuerySet, callback: SignedCallback) -> Outcome:
    """Merge the callback into its row.

    The first statement is always a write: SQLite refuses a transaction that reads first and
    writes then, if another one has written in between.
    """
    if callback.agrees:
        return rows.accept(callback.result, Cause.EVIDENCE)
    rows.update(reference=callback.reference)
    return Outcome.MISMATCH


def _keep(rows: MessageQuerySet, callback: SignedCallback, outcome: Outcome) -> None:
    counted = None if outcome is Outcome.MOVED else _counted_by(callback, rows.db)
    if counted:
        Callback.objects.using(rows.db).filter(pk=counted).count_again()
    else:
        statements.upsert(_entry(callback, outcome, rows.db), rows.db)


def _counted_by(callback: SignedCallback, using: str) -> int | None:
    """Return the key of the row that counts a callback without effect; None if it gets a new row.

    A callback that moves its message always gets a new row: the states allow few of them.
    """
    known = _known(callback.reference, using)
    newest = max(known.values()) if len(known) >= MAX_CALLBACKS else None
    return known.get(callback.digest, newest)


def _known(reference: UUID, using: str) -> dict[str, int]:
    """Return the primary keys of the stored callbacks of a message, by digest."""
    values = {"reference": reference, "source": Callback.Source.CALLBACK}
    return dict(statements.select(Callback, ["digest", "id"], values, using))


def _entry(callback: SignedCallback, outcome: Outcome, using: str) -> statements.Upsert:
    now = timezone.now()
    effect = {
        "message": statements.subquery(Message, ["id"], _name_of(callback), using),
        "outcome": outcome,
    }
    values = effect | {
        "reference": callback.reference,
        "source": Callback.Source.CALLBACK,
        "provider_id": callback.result.provider_id,
        "state": callback.result.state,
        "payload": callback.payload,
        "digest": callback.digest,
        "times": 1,
        "received_at": now,
        "last_received_at": now,
    }
    times = statements.expression(f"{statements.table_of(Callback, using)}.times + 1")
    again = {"times": times, "last_received_at": now}
    # The outcome of the first time stands, unless only now the row moved.
    again |= effect if outcome is Outcome.MOVED else {}
    return statements.Upsert(Callback, values, ("reference", "source", "digest"), again)
