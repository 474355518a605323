"""Evidence from one scan of the list: proofs of absence, and matches without references.

A wrong proof of absence is the most expensive error of all: the row becomes FAILED, its key is
free again, and the message is sent a second time.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median
from uuid import UUID

from django.db.models import Q

from ..gateway.payload import digits
from ..models import Event, Message, MessageQuerySet, fingerprint
from ..models import lease as leases
from ..models.settlement import PROVED_ABSENT, SETTLED_UNSENT
from ..sms import SendResult
from ..states import State
from .listing import PAGE, Listing
from .report import Reason

CONTROL_MARGIN = timedelta(minutes=2)
"""The least time between a control and a send, since the list may swap neighbours."""

CLOCK_SKEW = timedelta(minutes=15)
"""The provider's clock and ours may differ by so much."""

FIRST_DAY = timedelta(days=1)
"""Only a control that left so soon after an alias's first message can prove its absence."""


@dataclass(frozen=True, slots=True)
class PossibleSend:
    """A message that may have been sent, and the earliest and the latest time, by our clock."""

    message: Message
    earliest: datetime
    latest: datetime


def possible_sends(rows: MessageQuerySet) -> list[PossibleSend]:
    """Return for each row from when to when it may have been sent.

    A worker may wait with a claimed row, so the claim is the earliest time. The latest is when the
    row became UNKNOWN: by a time-out, by a dead worker's lease, or after a restore.
    """
    moves = Event.objects.using(rows.db).filter(message__in=rows.values("pk"), state=State.UNKNOWN)
    latest = dict(moves.values_list("message", "created_at").order_by("created_at"))
    return [_possible_send(message, latest.get(message.pk)) for message in rows]


def _possible_send(message: Message, latest: datetime | None) -> PossibleSend:
    earliest = message.claimed_at or message.created_at
    if latest is not None and latest < earliest:  # written by a host whose clock is slow
        latest = earliest + timedelta(seconds=leases.SECONDS)
    return PossibleSend(message, earliest, latest or earliest)


@dataclass(frozen=True, slots=True)
class Control:
    """One of our messages that the list shows: its time by our clock, and by the gateway's.

    As a positive control it is evidence that the list shows the messages of that time.
    """

    claimed_at: datetime
    created_at: datetime | None


@dataclass
class Evidence:
    """The entries of the list that say something about the messages that a sync searches for.

    Attributes:
        controls: messages of this alias that the list shows with their references.
        unreferenced: messages of this alias that the list shows without references.
        ownerless: entries without a row, to a number that is searched for.
        contested: references whose entry in the list contradicts the row.
        shows_other_references: the list shows references of other deployments or aliases.
        unlisted: claim times of accepted messages that the list does not show.
        first_accepted: when the alias claimed the first message that was accepted.
    """

    listing: Listing
    now: datetime
    grace: timedelta
    controls: list[Control] = field(default_factory=list)
    unreferenced: list[Control] = field(default_factory=list)
    ownerless: list[SendResult] = field(default_factory=list)
    contested: set[UUID] = field(default_factory=set)
    shows_other_references: bool = False
    unlisted: list[datetime] = field(default_factory=list)
    first_accepted: datetime | None = None

    @property
    def margin(self) -> timedelta:
        return min(self.grace, CONTROL_MARGIN)

    @property
    def shows_references(self) -> bool:
        """Whether the list would show a message of this alias with its reference.

        Without references, a message that did arrive is invisible to the search for it.
        """
        return bool(self.controls) or (self.shows_other_references and not self.unreferenced)

    def order_controls(self) -> None:
        """Sort the controls, and drop those whose two times disagree.

        A row whose time is wrong was accepted at another time, so it proves nothing about its own.
        """
        offset = self._clock_offset()
        trusted = [
            one
            for one in self.controls
            if not one.created_at or abs(one.created_at - one.claimed_at - offset) <= CONTROL_MARGIN
        ]
        self.controls = sorted(trusted, key=lambda control: control.claimed_at)

    # Absence

    def reason_to_doubt(self, send: PossibleSend) -> Reason | None:
        """Return why the message may have arrived, or None if that is disproved."""
        if self.is_fresh(send):
            return Reason.TOO_EARLY
        if send.message.reference in self.contested:
            return Reason.CONTESTED
        if not self.shows_references:
            return Reason.NOT_ECHOED
        before, after = self._control_before(send), self._control_after(send)
        if before is None and after is not None:
            before = self._beginning(send, after)
        if before is None:
            return Reason.NO_CONTROL_BEFORE
        if after is None:
            return Reason.NO_CONTROL_AFTER
        return self._doubt_between(send, before, after)

    def is_fresh(self, send: PossibleSend) -> bool:
        """Tell whether the request may still be under way, and arrive later."""
        return self.now < send.latest + self.grace

    def _control_before(self, send: PossibleSend) -> Control | None:
        """Return the last control before the send; without one, the list may begin later."""
        limit = send.earliest - self.margin
        position = bisect_left(self.controls, limit, key=lambda control: control.claimed_at)
        return self.controls[position - 1] if position else None

    def _control_after(self, send: PossibleSend) -> Control | None:
        """Return the first control after the send; without one, the list may end earlier."""
        limit = send.latest + self.margin
        position = bisect_right(self.controls, limit, key=lambda control: control.claimed_at)
        return self.controls[position] if position < len(self.controls) else None

    def _beginning(self, send: PossibleSend, after: Control) -> Control | None:
        """Return a control for an alias's first message, if the list reaches back so far.

        No earlier message of ours can serve as the control. So the list must show the next one,
        sent at most a day later: after a longer time the account may be another one.
        """
        start = send.earliest - self.margin
        if self.first_accepted is None or self.first_accepted < start:
            return None
        listed = start + self._clock_offset()
        if after.claimed_at > send.latest + FIRST_DAY or self._may_be_cut(listed):
            return None
        return Control(start, listed)

    def _may_be_cut(self, start: datetime) -> bool:
        """Tell whether the list may be cut: nothing older, and a multiple of the page size."""
        oldest, count = self.listing.oldest, len(self.listing.seen)
        return count % PAGE == 0 and (oldest is None or oldest >= start - CLOCK_SKEW)

    def _doubt_between(self, send: PossibleSend, before: Control, after: Control) -> Reason | None:
        """Doubt a list with a gap between the two controls: the message may be in the gap."""
        # Messages that left at about the same time may be listed in the other order, so the list
        # must be read beyond the control before. All times compared are the provider's.
        edge = before.created_at - CLOCK_SKEW if before.created_at else send.earliest
        if not self.listing.covers(edge):
            return Reason.NOT_READ
        if any(before.claimed_at <= one <= after.claimed_at for one in self.unlisted):
            return Reason.HOLE
        unreferenced = (one.claimed_at for one in self.unreferenced)
        if any(before.claimed_at <= one <= after.claimed_at for one in unreferenced):
            return Reason.NOT_ECHOED
        recent = (one for one in self.ownerless if not one.created_at or one.created_at >= edge)
        if any(_may_be(send.message, one) for one in recent):
            return Reason.TWIN
        return None

    # Without references

    def matches(
        self, sends: Sequence[PossibleSend], rivals: Sequence[PossibleSend]
    ) -> list[tuple[PossibleSend, SendResult]]:
        """Pair sends with ownerless entries that fit them alone, in both directions.

        Of two equal messages only one may have arrived, and a guess might choose the wrong one.

        Args:
            rivals: all sends to which an ownerless entry could belong, these among them.
        """
        pairs = []
        for send in sends:
            fitting = [one for one in self.ownerless if self._fits(send, one)]
            if len(fitting) == 1 and self._is_complete_around(send):
                owners = {one.message.pk for one in rivals if self._fits(one, fitting[0])}
                if owners <= {send.message.pk}:
                    pairs.append((send, fitting[0]))
        return pairs

    def _is_complete_around(self, send: PossibleSend) -> bool:
        """Tell whether no other entry can fit: all of them are listed, and were read."""
        return not self.is_fresh(send) and self.listing.covers(self._window(send)[0])

    def _fits(self, send: PossibleSend, entry: SendResult) -> bool:
        """Tell whether number, text, sender and time all fit the message."""
        first, last = self._window(send)
        return (
            entry.created_at is not None
            and first <= entry.created_at <= last
            and send.message.sender in ("", entry.sender)
            and _same_number(send.message, entry)
            and _same_text(send.message, entry.body)
        )

    def _window(self, send: PossibleSend) -> tuple[datetime, datetime]:
        """Return from when to when the provider would have listed it, by the provider's clock."""
        offset = self._clock_offset()
        return send.earliest + offset - CLOCK_SKEW, send.latest + offset + CLOCK_SKEW

    def _clock_offset(self) -> timedelta:
        """Return how far the provider's clock is ahead: the median, as single rows may be wrong."""
        seconds = [
            (one.created_at - one.claimed_at).total_seconds()
            for one in (self.controls or self.unreferenced)[:1000]
            if one.created_at
        ]
        return timedelta(seconds=median(seconds)) if seconds else timedelta(0)


def rivals_of(rows: MessageQuerySet, numbers: Collection[str]) -> MessageQuerySet:
    """Return the rows that may own an ownerless entry to one of these numbers.

    A row that a person or a proof has ended is a rival, too: its message may have arrived later.

    Args:
        rows: those of the whole database, since other deployments may share the account.
    """
    sent = [State.SENDING, State.UNKNOWN, State.NEW, State.PENDING]
    to_them = Q(recipient__in=numbers) | Q(redirected_to__in=numbers)
    nameless = rows.filter(to_them, provider_id=None, dry_run=False)
    return nameless.filter(state__in=sent) | nameless.filter(
        state=State.FAILED, error_code__in=[PROVED_ABSENT, SETTLED_UNSENT]
    )


def agrees(message: Message, entry: SendResult) -> bool:
    """Tell whether the entry may be the row's: one with another number is copied or forged."""
    return not entry.recipient or not message.sent_to or _same_number(message, entry)


def _may_be(message: Message, entry: SendResult) -> bool:
    """Tell whether an ownerless entry may be the message; a missing text fits every message."""
    if not _same_number(message, entry):
        return False
    # The fingerprint of a forgotten text differs once the SECRET_KEY has changed.
    return message.scrubbed or not entry.body or _same_text(message, entry.body)


def _same_number(message: Message, entry: SendResult) -> bool:
    """Compare digits alone: the provider may list a number without "+", or with spaces."""
    return digits(message.sent_to) == digits(entry.recipient)


def _same_text(message: Message, body: str) -> bool:
    """Compare words alone, since the provider may list a text with other white space."""
    if message.scrubbed:
        return bool(body) and fingerprint(body) == message.fingerprint
    return message.body.split() == body.split()
