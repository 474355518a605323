"""Decide about UNKNOWN rows if the evidence is clear; store why the other rows stay UNKNOWN."""

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
    """Decide about each UNKNOWN row, or store in the row why it stays UNKNOWN.

    A row that became UNKNOWN while the list was read cannot be judged yet, and stays UNKNOWN.
    """
    if session.unknown:
        _drop_owned_entries(session)
        session.evidence.order_controls()
        accepted = session.rows.filter(Q(state__in=PROVIDER) | Q(provider_id__isnull=False))
        session.evidence.first_accepted = accepted.aggregate(first=Min("claimed_at"))["first"]
        with transaction.atomic(using=session.using):  # see Note [Cursors behind PgBouncer]
            session.evidence.unlisted = list(_unlisted(session))
    if session.unknown and not session.evidence.shows_references:
        _adopt_matches(session)
    _count_searched(session)
    for send in session.unknown_sends():
        reason = _reason_to_doubt(session, send)
        if reason is not None:
            _keep_unknown(session, send, reason)
        elif send.message.rule_out():
            session.report.proved_absent += 1


def _count_searched(session: Session) -> None:
    """Count the rows that this sync searched for in the list, but did not find.

    The number is added to `report.looked`. Rows with a provider id are left out, because they are
    counted when they are looked up.
    """
    if session.report.pages and not session.report.error:
        lost = [send for send in session.searched() if not send.message.provider_id]
        session.report.looked += len(lost)


def _reason_to_doubt(session: Session, send: PossibleSend) -> Reason | None:
    """Return the reason why the row stays UNKNOWN; None if the message certainly never arrived."""
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
    """Report why a row stays UNKNOWN, and store the reason in the row.

    If the row has changed meanwhile, or an error ended the search, the reason is only reported.
    """
    message = send.message
    report = session.report
    report.still_unknown[message.reference] = reason
    if reason is Reason.TOO_EARLY:
        ends_at = send.latest + session.grace
        report.retry_at = min(report.retry_at or ends_at, ends_at)
    if report.error:
        return
    changes: dict[str, Any] = {"checked_at": session.now} if reason is not Reason.GIVEN_UP else {}
    if message.error_text != reason.value:
        changes |= {"error_text": reason.value, "updated_at": session.now}
    if changes:
        same = {"state": State.UNKNOWN, "claimed_at": message.claimed_at}
        session.rows.filter(pk=message.pk, **same).update(**changes)


def _adopt_matches(session: Session) -> None:
    """For each pair from `Evidence.matches()`, store the list entry in the UNKNOWN row."""
    sends = list(session.unknown.values())
    numbers = {send.message.sent_to for send in sends}
    rivals = possible_sends(rivals_of(Message.objects.using(session.using), numbers))
    for send, result in session.evidence.matches(sends, rivals):
        session.adopt(send.message, result)


def _drop_owned_entries(session: Session) -> None:
    """Drop entries from `ownerless` that belong to a row of another alias or deployment."""
    ownerless = session.evidence.ownerless
    # Rows from elsewhere do not count: the entry may be one of the messages searched for.
    rows = Message.objects.using(session.using).sent_here()
    rows = rows.filter(provider_id__in=[one.provider_id for one in ownerless])
    owned = set(rows.values_list("provider_id", flat=True))
    session.evidence.ownerless = [one for one in ownerless if one.provider_id not in owned]


def _unlisted(session: Session) -> Iterator[datetime]:
    """Yield `claimed_at` of each accepted message that the list should show, but does not."""
    if not (controls := session.evidence.controls):
        return
    searched = [send.earliest for send in session.unknown.values()]
    span = (min(controls[0].claimed_at, *searched), controls[-1].claimed_at)
    accepted = session.rows.filter(claimed_at__range=span).exclude(provider_id=None)
    for claimed_at, provider_id in accepted.values_list("claimed_at", "provider_id").iterator():
        if claimed_at and provider_id not in session.listing.seen:
            yield claimed_at
