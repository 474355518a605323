"""What one reading of the list proves, and what it does not."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median
from uuid import UUID

from ..gateway.payload import digits
from ..models import Event, Message, MessageQuerySet, fingerprint
from ..models import lease as leases
from ..models.settlement import PROVED_ABSENT, SETTLED_UNSENT
from ..sms import SendResult
from ..states import State
from .listing import Listing
from .report import Reason

MARGIN = timedelta(minutes=2)
"""How far from an attempt the messages must be that show that the list is complete around it."""

SLACK = timedelta(minutes=15)
"""By how much the provider's clock and ours may differ."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A message that may have been sent, and from when to when that may have been."""

    message: Message
    begun: datetime
    over: datetime


def attempts_of(rows: MessageQuerySet) -> list[Attempt]:
    """Return the attempts of these UNKNOWN rows."""
    ends = Event.objects.using(rows.db).filter(message__in=rows.values("pk"), state=State.UNKNOWN)
    ended = dict(ends.values_list("message", "created_at").order_by("created_at"))
    return [_attempt(message, ended.get(message.pk)) for message in rows]


def _attempt(message: Message, ended: datetime | None) -> Attempt:
    """Return when the attempt was under way.

    A row that was handed over may have waited for its request for half a lease. It was over when
    the row became UNKNOWN: by a time-out, by a dead worker's lease, or held after a restore.
    """
    begun = message.claimed_at or message.created_at
    if ended is not None and ended < begun:  # by a host's clock that is slow
        ended = begun + timedelta(seconds=leases.SECONDS)
    return Attempt(message, begun, ended or begun)


@dataclass(frozen=True, slots=True)
class Control:
    """A message of ours in the list, with our time of it and the provider's."""

    claimed_at: datetime
    created_at: datetime | None


@dataclass
class Evidence:
    """What the list shows besides the messages that are looked for.

    Attributes:
        controls: accepted messages of the same alias whose references the list brings back.
        plain: the same without references.
        strangers: messages that nobody owns, to a number that one is looked for with.
        contested: references of rows that the message with the reference contradicts.
        foreign_stamps: the list brings back references of others.
    """

    listing: Listing
    now: datetime
    grace: timedelta
    controls: list[Control] = field(default_factory=list)
    plain: list[Control] = field(default_factory=list)
    strangers: list[SendResult] = field(default_factory=list)
    contested: set[UUID] = field(default_factory=set)
    foreign_stamps: bool = False

    def __post_init__(self) -> None:
        self.margin = min(self.grace, MARGIN)
        self._unlisted: list[datetime] = []

    @property
    def is_echoed(self) -> bool:
        """Whether a message of this alias would be found by its reference."""
        return bool(self.controls) or (self.foreign_stamps and not self.plain)

    @property
    def span(self) -> tuple[datetime, datetime] | None:
        """Return from when to when, by our clock, the list shows messages of ours."""
        times = [control.claimed_at for control in self.controls]
        return (min(times), max(times)) if times else None

    def weigh(self, unlisted: Iterable[datetime]) -> None:
        """Make ready to judge, once all is read.

        Args:
            unlisted: when messages were handed over that were accepted, and that the list lacks.
        """
        self.controls = self._trusted()
        self._unlisted = list(unlisted)

    def _trusted(self) -> list[Control]:
        """Return the controls in our order, without those whose two times disagree too much.

        Such a one was not accepted when its row says, so it shows nothing of that time.
        """
        ahead = self._clock_difference()
        fitting = [
            one
            for one in self.controls
            if not one.created_at or abs(one.created_at - one.claimed_at - ahead) <= MARGIN
        ]
        return sorted(fitting, key=lambda control: control.claimed_at)

    # Absence

    def reason_to_doubt(self, attempt: Attempt) -> Reason | None:
        """Return why it is not proved that the provider never had it, or None if it is."""
        if self.is_fresh(attempt):
            return Reason.TOO_EARLY
        if attempt.message.reference in self.contested:
            return Reason.CONTESTED
        if not self.is_echoed:
            return Reason.NOT_ECHOED
        before, after = self._before(attempt), self._after(attempt)
        if before is None:
            return Reason.NO_CONTROL_BEFORE
        if after is None:
            return Reason.NO_CONTROL_AFTER
        return self._doubt_between(attempt, before, after)

    def is_fresh(self, attempt: Attempt) -> bool:
        return self.now < attempt.over + self.grace

    def _before(self, attempt: Attempt) -> Control | None:
        """Return the last message of ours that was handed over before it."""
        limit = attempt.begun - self.margin
        position = bisect_left(self.controls, limit, key=lambda control: control.claimed_at)
        return self.controls[position - 1] if position else None

    def _after(self, attempt: Attempt) -> Control | None:
        """Return the first message of ours that was handed over when the attempt was over."""
        limit = attempt.over + self.margin
        position = bisect_right(self.controls, limit, key=lambda control: control.claimed_at)
        return self.controls[position] if position < len(self.controls) else None

    def _doubt_between(self, attempt: Attempt, before: Control, after: Control) -> Reason | None:
        # Messages that left at about the same time may be listed in the other order, so the
        # list must be read beyond the one before. The times compared are all the provider's.
        edge = before.created_at - SLACK if before.created_at else attempt.begun
        if not self.listing.covers(edge):
            return Reason.NOT_READ
        if any(before.claimed_at <= one <= after.claimed_at for one in self._unlisted):
            return Reason.HOLE
        if any(before.claimed_at <= one.claimed_at <= after.claimed_at for one in self.plain):
            return Reason.NOT_ECHOED
        since_then = (one for one in self.strangers if not one.created_at or one.created_at >= edge)
        if any(_may_be(attempt.message, one) for one in since_then):
            return Reason.TWIN
        return None

    # Without references

    def matches(
        self, attempts: Sequence[Attempt], rivals: Sequence[Attempt]
    ) -> list[tuple[Attempt, SendResult]]:
        """Pair attempts with messages of the list, where there is but one way to do it.

        Args:
            rivals: all to which an ownerless message could belong, these ones among them.
        """
        pairs = []
        for attempt in attempts:
            fitting = [one for one in self.strangers if self._fits(attempt, one)]
            if len(fitting) == 1 and self._is_complete_around(attempt):
                owners = {one.message.pk for one in rivals if self._fits(one, fitting[0])}
                if owners <= {attempt.message.pk}:
                    pairs.append((attempt, fitting[0]))
        return pairs

    def _is_complete_around(self, attempt: Attempt) -> bool:
        return not self.is_fresh(attempt) and self.listing.covers(self._window(attempt)[0])

    def _fits(self, attempt: Attempt, stranger: SendResult) -> bool:
        first, last = self._window(attempt)
        message = attempt.message
        return (
            stranger.created_at is not None
            and first <= stranger.created_at <= last
            and message.sender in ("", stranger.sender)
            and _same_number(message, stranger)
            and _same_text(message, stranger.body)
        )

    def _window(self, attempt: Attempt) -> tuple[datetime, datetime]:
        """Return from when to when the provider would have written that it came."""
        ahead = self._clock_difference()
        return attempt.begun + ahead - SLACK, attempt.over + ahead + SLACK

    def _clock_difference(self) -> timedelta:
        """Return by how much the provider's clock is ahead of ours, as messages of ours show."""
        seconds = [
            (one.created_at - one.claimed_at).total_seconds()
            for one in (self.controls or self.plain)[:1000]
            if one.created_at
        ]
        return timedelta(seconds=median(seconds)) if seconds else timedelta(0)


def rivals_of(rows: MessageQuerySet, attempts: Sequence[Attempt]) -> MessageQuerySet:
    """Return all rows that may own a message to the number of one of these attempts.

    Args:
        rows: those of the whole database, since other deployments may share the account.
    """
    numbers = {attempt.message.recipient for attempt in attempts}
    kept = [State.SENDING, State.UNKNOWN, State.NEW, State.PENDING]
    ownerless = rows.filter(recipient__in=numbers, provider_id=None, dry_run=False)
    return ownerless.filter(state__in=kept) | ownerless.filter(
        state=State.FAILED, error_code__in=[PROVED_ABSENT, SETTLED_UNSENT]
    )


def agrees(message: Message, result: SendResult) -> bool:
    """Tell whether the number, where both tell it, is the same."""
    return not result.recipient or not message.recipient or _same_number(message, result)


def _may_be(message: Message, stranger: SendResult) -> bool:
    if not _same_number(message, stranger):
        return False
    # A forgotten text cannot be told from another: its fingerprint goes with the SECRET_KEY.
    return message.scrubbed or not stranger.body or _same_text(message, stranger.body)


def _same_number(message: Message, result: SendResult) -> bool:
    return digits(message.recipient) == digits(result.recipient)


def _same_text(message: Message, body: str) -> bool:
    if message.scrubbed:
        return bool(body) and fingerprint(body) == message.fingerprint
    return message.body.split() == body.split()
