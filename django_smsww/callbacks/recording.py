"""Move the row that a callback names, and keep the callback."""

from __future__ import annotations

from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Subquery
from django.utils import timezone

from ..models import Callback, Message, MessageQuerySet, Outcome
from ..models import sql as statements
from ..states import Cause
from .parsing import SignedCallback

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
    rows = Message.objects.using(using).filter(
        reference=callback.reference, environment=callback.environment
    )
    with transaction.atomic(using=using):
        outcome = _apply(rows, callback)
        _keep(rows, callback, outcome)
    return outcome


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
    known, digest = _known(callback.reference, rows.db), callback.digest
    callbacks = Callback.objects.using(rows.db)
    if digest in known:
        # The outcome of the first time stands, unless only now the row moved.
        row = Subquery(rows.values("pk")[:1])
        changes = {"outcome": outcome, "message": row} if outcome is Outcome.MOVED else {}
        callbacks.filter(pk=known[digest]).count_again(**changes)
    elif len(known) >= MAX_CALLBACKS and outcome is not Outcome.MOVED:
        callbacks.filter(pk=max(known.values())).count_again()
    else:
        _add(rows, callback, outcome)


def _known(reference: UUID, using: str) -> dict[str, int]:
    """Return the primary keys of the kept callbacks of a message, by digest."""
    values = {"reference": reference, "source": Callback.Source.CALLBACK}
    return dict(statements.select(Callback, ["digest", "id"], values, using))


def _add(rows: MessageQuerySet, callback: SignedCallback, outcome: Outcome) -> None:
    now = timezone.now()
    named = {"reference": callback.reference, "environment": callback.environment}
    values = {
        "message": statements.subquery(Message, ["id"], named, rows.db),
        "reference": callback.reference,
        "source": Callback.Source.CALLBACK,
        "outcome": outcome,
        "provider_id": callback.result.provider_id,
        "state": callback.result.state,
        "payload": callback.payload,
        "digest": callback.digest,
        "times": 1,
        "received_at": now,
        "last_received_at": now,
    }
    statements.insert(Callback, values, rows.db)
