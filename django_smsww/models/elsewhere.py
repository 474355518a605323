"""Store entries of the provider's list as messages of other programs with the same account."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db import transaction

from ..sms import SendResult
from ..states import SETTLED_BY_PROVIDER, Cause
from .message import Message, fingerprint
from .origin import FORGOTTEN, Origin
from .provider_facts import replace
from .totals import DailyTotal
from .transitions import state_in

ONE_DAY = timedelta(days=1)


def add_from_elsewhere(
    entries: Sequence[SendResult], alias: str, environment: str, *, with_content: bool, using: str
) -> None:
    """Store messages of other programs, from the provider's list. Skip known provider ids.

    Args:
        entries: each entry has a provider id, `created_at`, and a recipient in E.164.
        with_content: True stores numbers and texts, too.
    """
    if not entries:
        return
    named = {"alias": alias, "environment": environment}
    rows = [Message(**named, **_columns(entry, with_content)) for entry in entries]
    times = [row.created_at for row in rows]
    # These are days in UTC. A day of the project may be the day before or after.
    days = ((min(times) - ONE_DAY).date(), (max(times) + ONE_DAY).date())
    with transaction.atomic(using=using):
        Message.objects.using(using).bulk_create(rows, ignore_conflicts=True)
        # These days must be summed anew, see Note [When a day is summed again].
        DailyTotal.objects.using(using).days().filter(day__range=days).delete()


def refresh_from_elsewhere(row: Message, entry: SendResult) -> None:
    """Update the row of another program's message from its entry in the provider's list."""
    rows = Message.objects.using(row._state.db).filter(pk=row.pk)
    rows.accept(entry, Cause.EVIDENCE)


def _columns(entry: SendResult, with_content: bool) -> dict[str, Any]:
    at, state = entry.created_at, state_in(entry)
    ended = entry.delivered_at or entry.updated_at or at
    return {
        **replace(entry),
        **(_content(entry) if with_content else _without_content(entry)),
        "origin": Origin.ELSEWHERE,
        "state": state,
        "sender": entry.sender,
        "created_at": at,
        "expires_at": at,
        "next_attempt_at": at,
        "finished_at": ended if state in SETTLED_BY_PROVIDER else None,
    }


def _content(entry: SendResult) -> dict[str, Any]:
    digest = fingerprint(entry.body) if entry.body else ""
    # The gateway's responses are read without the texts of one-time codes.
    return {
        "recipient": entry.recipient,
        "body": entry.body,
        "fingerprint": digest,
        "scrubbed": not entry.body,
    }


def _without_content(entry: SendResult) -> dict[str, Any]:
    """Return the columns of a row that stores neither the number nor the text."""
    prefix = f"+{entry.prefix}" if entry.prefix else ""
    return {"recipient": prefix + FORGOTTEN, "scrubbed": True, "blocklisted_reason": ""}
