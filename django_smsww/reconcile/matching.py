"""Read the provider's list to update rows, find UNKNOWN messages, and collect evidence."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from ..gateway.payload import digits
from ..gateway.signature import Stamp, read_custom_stamp
from ..models import Message
from ..sms import SendResult
from ..states import SETTLED_BY_PROVIDER
from .evidence import CLOCK_SKEW, Control, agrees
from .ownership import names_another
from .session import Session

IDLE_PAGES = 2
"""Reading may stop after this many consecutive pages without a row to refresh.

The remaining rows are then looked up one by one, which probably needs fewer requests.
"""


def scan(session: Session) -> None:
    """Read the provider's list, as far as the oldest message that the sync searches for."""
    _read_list(session)
    session.rows.filter(reference__in=session.nameless).update(checked_at=session.now)


def _read_list(session: Session) -> None:
    horizon = _horizon(session)
    oldest = min((row.claimed_at for row in session.candidates.values()), default=None)
    needed = [moment for moment in (oldest and oldest - CLOCK_SKEW, horizon) if moment]
    if not needed:
        return
    idle = 0
    for page in session.listing.read(min(needed)):
        before = len(session.candidates)
        _read_page(session, page)
        left = len(session.candidates)
        idle = idle + 1 if left == before else 0
        is_idle = not left or idle >= max(IDLE_PAGES, left // 10)
        if is_idle and _has_reached(session, horizon):
            return


def _horizon(session: Session) -> datetime | None:
    """Return the time of the oldest list entries that the search needs.

    Return None if the sync searches for nothing.
    """
    since = session.restored_to
    sent = [one.earliest for one in session.searched()]
    sent += session.nameless.values()
    if not sent:
        return since and since - CLOCK_SKEW
    earlier = session.rows.filter(claimed_at__lt=min(sent) - session.evidence.margin)
    control = earlier.exclude(provider_id=None).order_by("-claimed_at").first()
    moments = [min(sent), since, control and control.claimed_at]
    return min(moment for moment in moments if moment) - 2 * CLOCK_SKEW


def _has_reached(session: Session, horizon: datetime | None) -> bool:
    if not (session.restored_to or session.searched() or session.nameless):
        return True
    return horizon is None or session.listing.covers(horizon)


def _read_page(session: Session, page: Sequence[SendResult]) -> None:
    ids = [entry.provider_id for entry in page]
    rows = session.rows.defer("body").filter(provider_id__in=ids)
    owners = {row.provider_id: row for row in rows}
    stamps = {entry.provider_id: read_custom_stamp(entry.custom) for entry in page}
    others = [
        stamp
        for name, stamp in stamps.items()
        if stamp and (name not in owners or owners[name].reference != stamp.reference)
    ]
    named = rows_named(session, others)
    checked = [row.pk for name, row in owners.items() if name in session.candidates]
    for entry in page:
        stamp = stamps[entry.provider_id]
        owner = owners.get(entry.provider_id)
        if owner and stamp and names_another(owner, entry):
            session.read_misnamed(owner, entry, named.get(stamp.reference))
        elif owner:
            _read_known(session, owner, entry, stamp)
        elif stamp:
            _read_stamped(session, entry, stamp, named.get(stamp.reference))
        elif digits(entry.recipient) in session.numbers:
            session.evidence.ownerless.append(entry)
    session.rows.filter(pk__in=checked).update(checked_at=session.now)


def rows_named(session: Session, stamps: Sequence[Stamp]) -> dict[UUID, Message]:
    """Return the rows of this deployment, of any alias, that have these references."""
    ours = session.backend.environment
    references = [one.reference for one in stamps if one.environment == ours]
    rows = Message.objects.using(session.using).defer("body").filter(environment=ours)
    return {row.reference: row for row in rows.filter(reference__in=references)}


def _read_known(session: Session, row: Message, entry: SendResult, stamp: Stamp | None) -> None:
    """Update the row from its entry. If row and entry differ in the final state, plan a look-up."""
    _add_control(session, row, entry, stamp)
    if session.candidates.pop(entry.provider_id, None):
        session.report.looked += 1
    if row.state != entry.state and {row.state, entry.state} <= SETTLED_BY_PROVIDER:
        session.disputed.append(row)
    elif has_news(row, entry):
        session.record(row, entry)


def _read_stamped(session: Session, entry: SendResult, stamp: Stamp, row: Message | None) -> None:
    """Process an entry that has a reference, and whose provider id is in no row of the alias."""
    evidence = session.evidence
    if stamp.environment != session.backend.environment:
        evidence.shows_other_references = True
        if stamp.reference in session.unknown:
            evidence.contested.add(stamp.reference)
    elif row is None:
        _read_orphan(session, entry, stamp)
    elif row.alias != session.backend.alias:
        evidence.shows_other_references = True
    elif row.provider_id:
        session.ownership.named.append((row, entry))
    elif not agrees(row, entry):
        evidence.contested.add(row.reference)
    else:
        # In the list of our own account the reference is enough: its signature may be of an
        # earlier SECRET_KEY.
        session.adopt(row, entry)
        _add_control(session, row, entry, stamp)


def _read_orphan(session: Session, entry: SendResult, stamp: Stamp) -> None:
    """After a restore, report a message of ours that was sent after the backup and has no row."""
    if session.restored_to is None or not stamp.is_authentic:
        return
    if entry.created_at is None or entry.created_at >= session.restored_to - CLOCK_SKEW:
        session.report.orphans.append(entry.provider_id)


def _add_control(session: Session, row: Message, entry: SendResult, stamp: Stamp | None) -> None:
    if row.claimed_at is None:
        return
    ours = (row.reference, row.environment)
    is_echoed = stamp is not None and (stamp.reference, stamp.environment) == ours
    evidence = session.evidence
    controls = evidence.controls if is_echoed else evidence.unreferenced
    controls.append(Control(row.claimed_at, entry.created_at))


def has_news(row: Message, entry: SendResult) -> bool:
    """Return True if a list entry has newer data than the row, so that the row must be updated."""
    is_newer = entry.updated_at is not None and (
        row.provider_updated_at is None or entry.updated_at > row.provider_updated_at
    )
    is_moved = entry.state != row.state and not row.is_final
    return is_newer or is_moved or bool(entry.total_price and not row.total_price)
