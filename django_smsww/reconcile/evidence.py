"""Draw conclusions about UNKNOWN messages from one reading of the provider's list.

If the list proves that a message never arrived, its row becomes FAILED, and a FAILED message can be
sent again. So if the proof is wrong, the recipient can get the message twice.
"""

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
"""The minimum time between an UNKNOWN message and a control: the list may be a bit unordered.

A control is another message of ours in the list: one was sent earlier, and one later.
"""

CLOCK_SKEW = timedelta(minutes=15)
"""The maximum expected difference between the provider's clock and ours."""

FIRST_DAY = timedelta(days=1)
"""The maximum time between the first message of an alias and the alias's next listed message.

If more time lies between them, the list cannot prove that the first message never arrived.
"""


@dataclass(frozen=True, slots=True)
class PossibleSend:
    """A message that may have been sent, with the earliest and the latest possible time."""

    message: Message
    earliest: datetime
    latest: datetime


def possible_sends(rows: MessageQuerySet) -> list[PossibleSend]:
    """Return the earliest and the latest time at which each row may have been sent, by our clock.

    The earliest time is when the row became SENDING, and the latest is when it became UNKNOWN.
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
    """A message of ours in the list. `created_at` is by the provider's clock, `claimed_at` by ours.

    A control is evidence that the list shows the messages sent at about `claimed_at`.
    """

    claimed_at: datetime
    created_at: datetime | None


@dataclass
class Evidence:
    """The facts from the provider's list about the messages that a sync searches for.

    Attributes:
        controls: messages of this alias that the list shows with their references.
        unreferenced: messages of this alias that the list shows without references.
        ownerless: list entries that have no row, but have the number of an UNKNOWN message.
        contested: references of messages whose row and list entry contradict each other.
        shows_other_references: whether the list shows references of other deployments or aliases.
        unlisted: `claimed_at` of each accepted message that the list does not show.
        first_accepted: `claimed_at` of the first accepted message of the alias.
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
        """Whether the list shows the references of the messages of this alias.

        If not, a search by reference finds nothing, even if the message arrived.
        """
        return bool(self.controls) or (self.shows_other_references and not self.unreferenced)

    def order_controls(self) -> None:
        """Sort the controls (our messages in the list) by time, and drop unreliable controls.

        A control is unreliable if the time between its `claimed_at` and `created_at` is unusual.
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
        """Return the reason why a message may have arrived; None if it certainly never arrived."""
        if self.is_fresh(send):
            return Reason.TOO_EARLY
        if send.message.reference in self.contested:
            return Reason.CONTESTED
        if not self.shows_references:
            return Reason.NOT_ECHOED
        after = self._control_after(send)
        if after is None:
            return Reason.NO_CONTROL_AFTER
        before = self._control_before(send) or self._beginning(send, after)
        if before is None:
            return Reason.NO_CONTROL_BEFORE
        return self._doubt_between(send, before, after)

    def is_fresh(self, send: PossibleSend) -> bool:
        """Return True if the request may still be on its way to the provider."""
        return self.now < send.latest + self.grace

    def _control_before(self, send: PossibleSend) -> Control | None:
        """Return the last control that is more than `margin` older than `send`, or None."""
        limit = send.earliest - self.margin
        position = bisect_left(self.controls, limit, key=lambda control: control.claimed_at)
        return self.controls[position - 1] if position else None

    def _control_after(self, send: PossibleSend) -> Control | None:
        """Return the first control sent more than `margin` after the message `send`, or None."""
        limit = send.latest + self.margin
        position = bisect_right(self.controls, limit, key=lambda control: control.claimed_at)
        return self.controls[position] if position < len(self.controls) else None

    def _beginning(self, send: PossibleSend, after: Control) -> Control | None:
        """Return a made-up control before `send`, if `send` is the first message of the alias.

        Return None if another message was accepted before `send`, or if the list may lack entries
        as old as `send`. Also return None if `after` is more than a day newer than `send`, because
        the alias may have changed to another account in between.
        """
        start = send.earliest - self.margin
        if self.first_accepted is None or self.first_accepted < start:
            return None
        listed = start + self._clock_offset()
        if after.claimed_at > send.latest + FIRST_DAY or self._may_be_cut(listed):
            return None
        return Control(start, listed)

    def _may_be_cut(self, start: datetime) -> bool:
        """Return True if the provider's list may lack entries as old as the time `start`."""
        oldest, count = self.listing.oldest, len(self.listing.seen)
        return count % PAGE == 0 and (oldest is None or oldest >= start - CLOCK_SKEW)

    def _doubt_between(self, send: PossibleSend, before: Control, after: Control) -> Reason | None:
        """Return why the message may have been sent, or None if the list proves that it was not.

        `before` and `after` are the controls: messages of ours sent before and after this one.
        """
        # The list may swap messages of about the same time, so it must be read beyond the control
        # before the send. All times here are the provider's.
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
        """Pair messages with list entries that have no reference.

        In a pair, the message fits no other entry, and the entry fits no other message. So if
        two messages are equal, both stay without an entry: perhaps only one of them arrived, and we
        do not guess which.

        Args:
            rivals: all messages that could match an entry, including the messages in `sends`.
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
        """Return True if the request has ended, and all entries since the send time were read."""
        return not self.is_fresh(send) and self.listing.covers(self._window(send)[0])

    def _fits(self, send: PossibleSend, entry: SendResult) -> bool:
        """Return True if number, text, sender and time of the entry all fit the message."""
        first, last = self._window(send)
        return (
            entry.created_at is not None
            and first <= entry.created_at <= last
            and send.message.sender in ("", entry.sender)
            and _same_number(send.message, entry)
            and _same_text(send.message, entry.body)
        )

    def _window(self, send: PossibleSend) -> tuple[datetime, datetime]:
        """Return the earliest and latest `created_at` that a list entry of the message can have."""
        offset = self._clock_offset()
        return send.earliest + offset - CLOCK_SKEW, send.latest + offset + CLOCK_SKEW

    def _clock_offset(self) -> timedelta:
        """Return the provider's time minus our time, as the median of many messages."""
        seconds = [
            (one.created_at - one.claimed_at).total_seconds()
            for one in (self.controls or self.unreferenced)[:1000]
            if one.created_at
        ]
        return timedelta(seconds=median(seconds)) if seconds else timedelta(0)


def rivals_of(rows: MessageQuerySet, numbers: Collection[str]) -> MessageQuerySet:
    """Return the rows to which entries with these numbers may belong: rows without provider ids.

    Rows that a person or a sync made FAILED are included: their messages may have arrived.

    Args:
        rows: the rows of all deployments, because deployments may share an account.
    """
    sent = [State.SENDING, State.UNKNOWN, State.NEW, State.PENDING]
    to_them = Q(recipient__in=numbers) | Q(redirected_to__in=numbers)
    nameless = rows.filter(to_them, provider_id=None, dry_run=False)
    return nameless.filter(state__in=sent) | nameless.filter(
        state=State.FAILED, error_code__in=[PROVED_ABSENT, SETTLED_UNSENT]
    )


def agrees(message: Message, entry: SendResult) -> bool:
    """Return False if the numbers differ, which shows that the reference was copied or forged."""
    return not entry.recipient or not message.sent_to or _same_number(message, entry)


def _may_be(message: Message, entry: SendResult) -> bool:
    """Return True if number and text of the entry fit the message; a missing text fits any text."""
    if not _same_number(message, entry):
        return False
    # A scrubbed text has only a fingerprint, which differs after a change of the SECRET_KEY.
    return message.scrubbed or not entry.body or _same_text(message, entry.body)


def _same_number(message: Message, entry: SendResult) -> bool:
    """Return True if the numbers have the same digits; spaces and a missing "+" do not matter."""
    return digits(message.sent_to) == digits(entry.recipient)


def _same_text(message: Message, body: str) -> bool:
    """Return True if the texts have the same words. For a scrubbed row, compare fingerprints."""
    if message.scrubbed:
        return bool(body) and fingerprint(body) == message.fingerprint
    return message.body.split() == body.split()
