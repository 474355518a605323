"""Settles what is proved, and writes on the other rows why they stay UNKNOWN."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from ..models import Message
from ..states import State
from .evidence import Attempt, attempts_of, rivals_of
from .report import Reason, Unsettled
from .session import Work


def settle(work: Work) -> None:
    """Settle the attempts that were not found."""
    if work.unknown:
        _disregard_owned_strangers(work)
        work.evidence.weigh(_unlisted(work))
    if work.unknown and not work.evidence.is_echoed:
        _match(work)
    for attempt in work.attempts():
        _settle_one(work, attempt)


def _settle_one(work: Work, attempt: Attempt) -> None:
    reason = _reason_to_doubt(work, attempt)
    if reason is not None:
        _keep_unknown(work, attempt, reason)
    elif attempt.message.rule_out():
        work.report.proved_absent += 1


def _reason_to_doubt(work: Work, attempt: Attempt) -> Reason | None:
    message = attempt.message
    if message.provider_id or message.was_heard_of():
        return Reason.KNOWN
    if not work.backend.supports_fetch_page:
        return Reason.NO_LIST
    before = work.unknown.get(message.reference)
    if before is None or before.over != attempt.over:
        return Reason.TOO_EARLY  # this attempt became UNKNOWN while the list was read
    reason = work.evidence.reason_to_doubt(attempt)
    if reason and work.was_given_up(attempt):
        return Reason.GIVEN_UP
    return Reason.NOT_READ if reason and work.report.error else reason


def _keep_unknown(work: Work, attempt: Attempt, reason: Reason) -> None:
    message = attempt.message
    work.report.still_unknown.append(Unsettled(message.reference, reason))
    if work.report.error:
        return
    changes: dict[str, Any] = {"checked_at": work.now} if reason is not Reason.GIVEN_UP else {}
    if message.error_text != reason.value:
        changes |= {"error_text": reason.value, "updated_at": work.now}
    if changes:
        same = {"state": State.UNKNOWN, "claimed_at": message.claimed_at}
        work.rows.filter(pk=message.pk, **same).update(**changes)


def _match(work: Work) -> None:
    """Adopt by number, text, sender and time, where there is but one way to do it."""
    attempts = list(work.unknown.values())
    rivals = attempts_of(rivals_of(Message.objects.using(work.using), attempts))
    for attempt, result in work.evidence.matches(attempts, rivals):
        work.adopt(attempt.message, result)


def _disregard_owned_strangers(work: Work) -> None:
    """Take out what a row of another alias or environment of this database owns."""
    strangers = work.evidence.strangers
    rows = Message.objects.using(work.using).filter(
        provider_id__in=[one.provider_id for one in strangers]
    )
    owned = set(rows.values_list("provider_id", flat=True))
    work.evidence.strangers = [one for one in strangers if one.provider_id not in owned]


def _unlisted(work: Work) -> Iterator[datetime]:
    """Yield when messages were handed over that the list ought to have shown, and did not."""
    if (span := work.evidence.span) is None:
        return
    accepted = work.rows.filter(claimed_at__range=span).exclude(provider_id=None)
    for claimed_at, provider_id in accepted.values_list("claimed_at", "provider_id").iterator():
        if claimed_at and provider_id not in work.listing.seen:
            yield claimed_at
