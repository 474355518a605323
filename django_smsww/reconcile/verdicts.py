"""Verdicts: settle the UNKNOWN rows that the evidence decides, and note the doubt on the others."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Min, Q

from ..models import Message
from ..states import PROVIDER, State
from .evidence import PossibleSend, possible_sends, rivals_of
from .report import Reason
from .session import Session


def settle(session: Session) -> None:
    """Give a verdict on each UNKNOWN row.

    The rows are read again, so that a send that began during the scan is not judged by it.
    """
    if session.unknown:
        _drop_owned_entries(session)
        session.evidence.order_controls()
        session.evidence.first_accepted = _first_accepted(session)
        with transaction.atomic(using=session.using):  # see Note [Cursors behind PgBouncer]
            session.evidence.unlisted = list(_unlisted(session))
    if session.unknown and not session.evidence.shows_references:
        _adopt_matches(session)
    for send in session.unknown_sends():
        _settle_one(session, send)


def _settle_one(session: Session, send: PossibleSend) -> None:
    """Make the row FAILED only if there is no doubt, since its key may be used again then."""
    reason = _reason_to_doubt(session, send)
    if reason is not None:
        _keep_unknown(session, send, reason)
    elif send.message.rule_out():
        session.report.proved_absent += 1


def _reason_to_doubt(session: Session, send: PossibleSend) -> Reason | None:
    """Return why the row stays UNKNOWN, or None. The evidence counts only after a complete scan."""
    message = send.message
    if message.provider_id or message.was_heard_of():
        return Reason.KNOWN
    if not session.backend.supports_fetch_page:
        return Reason.NO_LIST
    before = session.unknown.get(message.reference)
    if before is None or before.latest != send.latest:
        return Reason.TOO_EARLY  # it became UNKNOWN, perhaps again, while the list was read
    reason = session.evidence.reason_to_doubt(send)
    if reason and session.has_given_up(send):
        return Reason.GIVEN_UP
    return Reason.NOT_READ if reason and session.report.error else reason


def _keep_unknown(session: Session, send: PossibleSend, reason: Reason) -> None:
    """Write the reason on the row, unless another attempt has begun or the sync broke off.

    A sync that broke off has not searched, so it must not count as the last search either.
    """
    message = send.message
    session.report.still_unknown[message.reference] = reason
    if session.report.error:
        return
    changes: dict[str, Any] = {"checked_at": session.now} if reason is not Reason.GIVEN_UP else {}
    if message.error_text != reason.value:
        changes |= {"error_text": reason.value, "updated_at": session.now}
    if changes:
        same = {"state": State.UNKNOWN, "claimed_at": message.claimed_at}
        session.rows.filter(pk=message.pk, **same).update(**changes)


def _adopt_matches(session: Session) -> None:
    """Where the list shows no references, adopt entries that can belong to one row alone."""
    sends = list(session.unknown.values())
    numbers = {send.message.sent_to for send in sends}
    rivals = possible_sends(rivals_of(Message.objects.using(session.using), numbers))
    for send, result in session.evidence.matches(sends, rivals):
        session.adopt(send.message, result)


def _drop_owned_entries(session: Session) -> None:
    """Drop entries of another alias or deployment, which are neither matches nor doubts."""
    ownerless = session.evidence.ownerless
    # An adopted entry may belong to one of the rows that are searched for, all the same.
    rows = Message.objects.using(session.using).sent_here()
    rows = rows.filter(provider_id__in=[one.provider_id for one in ownerless])
    owned = set(rows.values_list("provider_id", flat=True))
    session.evidence.ownerless = [one for one in ownerless if one.provider_id not in owned]


def _first_accepted(session: Session) -> datetime | None:
    accepted = session.rows.filter(Q(state__in=PROVIDER) | Q(provider_id__isnull=False))
    return accepted.aggregate(first=Min("claimed_at"))["first"]


def _unlisted(session: Session) -> Iterator[datetime]:
    """Yield the claim times of accepted messages that the list lacks."""
    if not (controls := session.evidence.controls):
        return
    searched = [send.earliest for send in session.unknown.values()]
    span = (min(controls[0].claimed_at, *searched), controls[-1].claimed_at)
    accepted = session.rows.filter(claimed_at__range=span).exclude(provider_id=None)
    for claimed_at, provider_id in accepted.values_list("claimed_at", "provider_id").iterator():
        if claimed_at and provider_id not in session.listing.seen:
            yield claimed_at
