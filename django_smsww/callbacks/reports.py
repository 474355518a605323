"""Apply delivery reports that a view of your project receives from other providers."""

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
    """Apply another provider's delivery report to its message, and store the report as a callback.

    The view that receives your provider's callbacks calls this function. Before the call, the view
    must check that the callback comes from the provider. Reports may arrive late, twice and in any
    order. The stored report has no number, text or custom data.

    Args:
        name: the reference of the message, or the provider's id of the message.
        result: the provider's record. Its `state` is NEW, PENDING, DELIVERED, UNDELIVERABLE,
            EXPIRED or REJECTED. Any other word does not change the state of the message.
        using: the alias of the provider. It is ignored if `name` is a `UUID` object.

    Returns:
        The effect on the message. `Outcome.NO_ROW` means that no row has this `name`. If a
        callback arrives before the provider has answered `send()`, the row does not have the
        message's id yet. Your view should then answer with an error status, so that the provider
        posts the callback again. To prevent this case, your backend can pass `sms.reference` to
        the provider in `send(sms)`. Your view then uses the reference as `name`.

    Raises:
        ValueError: `result.error` is set.
    """
    if result.error is not None:
        raise ValueError(
            "A result with an error changes no message: give the result a state instead."
        )
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
