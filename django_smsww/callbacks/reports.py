"""The reports of other providers, which come in by a view of the project."""

from __future__ import annotations

from contextlib import suppress
from uuid import UUID

from django.db import router

from ..backends.handler import sms_backends
from ..models import Message, Outcome
from ..models.callback import as_payload
from ..sms import SendResult
from .recording import record
from .signed import SignedCallback


def apply_result(name: UUID | str, result: SendResult, *, using: str = "default") -> Outcome:
    """Move a message as a callback of the gateway would, and store the report as a callback.

    Call it in a view for your provider's callbacks, once you know that the provider has posted
    them. It may be called twice, late and in any order. The report is kept without number, text
    and custom data.

    Args:
        name: the message's reference, or the provider's id of it.
        result: the provider's record. Its `state` is a State, such as "DELIVERED"; other words
            move nothing.
        using: the alias of the provider, whose ids these are. A reference needs none.

    Returns:
        Outcome.NO_ROW if there is no such message. A callback may come before the answer to the
        request, and then no row has the provider's id yet. Let your view answer with an error,
        so that the provider posts the callback again; or use the reference, which `send(sms)` gets
        as `sms.reference`.

    Raises:
        ValueError: the result has an error.
    """
    if result.error is not None:
        raise ValueError("A result with an error moves no message: give it a state instead.")
    database = router.db_for_write(Message)
    row = _find(name, using, database)
    if row is None:
        return Outcome.NO_ROW
    report = SignedCallback(row.reference, row.environment, True, result, as_payload(result))
    return record(report, using=database)


def _find(name: UUID | str, using: str, database: str) -> Message | None:
    rows = Message.objects.using(database).only("reference", "environment")
    if isinstance(name, str):
        ours = rows.of(using, sms_backends[using].environment)
        if name and (row := ours.filter(provider_id=name).first()):
            return row
        with suppress(ValueError):
            return rows.filter(reference=UUID(name)).first()
        return None
    return rows.filter(reference=name).first()
