"""Takes from the provider's list what it says of our rows, and keeps what it proves besides."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from ..gateway.payload import digits
from ..gateway.signature import Stamp, read_custom_stamp
from ..models import Message
from ..sms import SendResult
from ..states import SETTLED_BY_PROVIDER
from .evidence import SLACK, Control, agrees
from .session import Work

PATIENCE = 2
"""How many pages in a row may bring no unfinished message before single look-ups are cheaper."""


class Reading:
    """One reading of the list.

    Args:
        since: after a restore, when the backup was made.
    """

    def __init__(self, work: Work, since: datetime | None = None) -> None:
        self.work, self.since = work, since
        self.orphans: set[str] = set()

    def read(self) -> None:
        """Read the list as far as something that is looked for may be in it."""
        work, floor = self.work, self._floor()
        first = min((row.claimed_at for row in work.wanted.values()), default=None)
        needed = [moment for moment in (first and first - SLACK, floor) if moment]
        if not needed:
            return
        idle = 0
        for page in work.listing.read(min(needed)):
            before = len(work.wanted)
            self.take(page)
            idle = idle + 1 if len(work.wanted) == before else 0
            is_idle = not work.wanted or idle >= self._patience()
            if is_idle and self._is_done(floor):
                return

    def _floor(self) -> datetime | None:
        """Return how far back the list must be read for what is unknown; None if for nothing."""
        work, since = self.work, self.since
        begun = [one.begun for one in work.unknown.values() if not work.was_given_up(one)]
        begun += work.nameless()
        if not begun:
            return since and since - SLACK
        first = min(begun)
        earlier = work.rows.filter(claimed_at__lt=first - work.evidence.margin)
        control = earlier.exclude(provider_id=None).order_by("-claimed_at").first()
        moments = [first, since, control and control.claimed_at]
        return min(moment for moment in moments if moment) - 2 * SLACK

    def _is_done(self, floor: datetime | None) -> bool:
        """Whether nothing more of the list is needed for what is unknown."""
        work = self.work
        if self.since is None and all(map(work.was_given_up, work.unknown.values())):
            return True
        return floor is None or work.listing.covers(floor)

    def _patience(self) -> int:
        return max(PATIENCE, len(self.work.wanted) // 10)

    # One page

    def take(self, page: Sequence[SendResult]) -> None:
        work = self.work
        ids = [result.provider_id for result in page]
        owners = {
            row.provider_id: row for row in work.rows.defer("body").filter(provider_id__in=ids)
        }
        stamps = {result.provider_id: read_custom_stamp(result.custom) for result in page}
        named = self._rows_named([stamps[name] for name in ids if name not in owners])
        checked = [row.pk for name, row in owners.items() if name in work.wanted]
        for result in page:
            stamp = stamps[result.provider_id]
            if owner := owners.get(result.provider_id):
                self._take_known(owner, result, stamp)
            elif stamp:
                self._take_stamped(result, stamp, named.get(stamp.reference))
            elif digits(result.recipient) in work.numbers:
                work.evidence.strangers.append(result)
        work.rows.filter(pk__in=checked).update(checked_at=work.now)

    def _rows_named(self, stamps: Sequence[Stamp | None]) -> dict[UUID, Message]:
        """Return the rows of this deployment, of whatever alias, that these stamps name."""
        ours = self.work.backend.environment
        references = [one.reference for one in stamps if one and one.environment == ours]
        rows = Message.objects.using(self.work.using).defer("body").filter(environment=ours)
        return {row.reference: row for row in rows.filter(reference__in=references)}

    def _take_known(self, row: Message, result: SendResult, stamp: Stamp | None) -> None:
        """Take a message whose id a row bears already."""
        work = self.work
        self._keep_as_control(row, result, stamp)
        if work.wanted.pop(result.provider_id, None):
            work.report.looked += 1
        if row.state != result.state and {row.state, result.state} <= SETTLED_BY_PROVIDER:
            work.disputed.append(row)
        elif _has_news(row, result):
            work.enter(row, result)

    def _take_stamped(self, result: SendResult, stamp: Stamp, row: Message | None) -> None:
        """Take a message that bears a reference, and an id that no row of the alias bears."""
        work = self.work
        if stamp.environment != work.backend.environment:
            work.evidence.foreign_stamps = True
            if stamp.reference in work.unknown:
                work.evidence.contested.add(stamp.reference)
        elif row is None:
            self._take_orphan(result, stamp)
        elif row.alias != work.backend.alias:
            work.evidence.foreign_stamps = True
        elif row.provider_id:
            work.report.doubled.append(row.reference)
            work.enter(row, result)  # which moves nothing, and is ledgered as a mismatch
        elif not agrees(row, result):
            work.evidence.contested.add(row.reference)
        else:
            # The reference in the list of our own account suffices to know it by. The signature
            # may be one of a SECRET_KEY that was given up.
            work.adopt(row, result)
            self._keep_as_control(row, result, stamp)

    def _take_orphan(self, result: SendResult, stamp: Stamp) -> None:
        """Note a message of ours that has no row: the restored backup is older than it."""
        if self.since is None or not stamp.is_authentic:
            return
        if result.created_at is None or result.created_at >= self.since - SLACK:
            self.orphans.add(result.provider_id)

    def _keep_as_control(self, row: Message, result: SendResult, stamp: Stamp | None) -> None:
        if row.claimed_at is None:
            return
        control = Control(row.claimed_at, result.created_at)
        is_echoed = stamp is not None and (stamp.reference, stamp.environment) == (
            row.reference,
            row.environment,
        )
        evidence = self.work.evidence
        (evidence.controls if is_echoed else evidence.plain).append(control)


def _has_news(row: Message, result: SendResult) -> bool:
    """Tell whether a record says more than the row, so that most are not written again."""
    is_newer = result.updated_at is not None and (
        row.provider_updated_at is None or result.updated_at > row.provider_updated_at
    )
    is_moved = result.state != row.state and not row.is_final
    return is_newer or is_moved or bool(result.total_price and not row.total_price)
