"""Read the provider's list of messages page by page.

The order, page size and limits of the list are not documented. So the order is found from the times
of the messages. Each page overlaps the previous page by one message, to notice gaps.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from ..sms import SendResult

PAGE = 100
MAX_PAGES = 1000
FARTHEST = PAGE * MAX_PAGES * 100
"""The highest position in the list at which the search looks for an old entry."""

JITTER = timedelta(minutes=1)
"""If an entry is out of order by more than this time, the whole list counts as unordered."""

FetchPage = Callable[[int, int], Sequence[SendResult]]


class Order(Enum):
    NEWEST_FIRST = "newest first"
    OLDEST_FIRST = "oldest first"


@dataclass
class Listing:
    """The part of the provider's list that was read so far.

    Attributes:
        has_ended: True if the end of the list was reached.
        is_whole: True if no gap was noticed, and every entry could be read.
        oldest: the time of the oldest message that was read.
    """

    fetch_page: FetchPage
    seen: set[str] = field(default_factory=set)
    order: Order | None = None
    has_ended: bool = False
    is_whole: bool = True
    oldest: datetime | None = None
    max_pages: int = MAX_PAGES
    _start: int = 0
    _widest: int = 0
    _last_time: datetime | None = None

    def read(self, horizon: datetime) -> Iterator[list[SendResult]]:
        """Read the entries since `horizon`. For each page, yield the entries not read before."""
        page = self._first_page(horizon)
        skip, idle = self._start, 0
        for _ in range(self.max_pages):
            fresh = self._new_entries(page)
            idle = 0 if fresh else idle + 1
            yield fresh
            if self._is_over(page, fresh, idle) or self._is_past(page, horizon):
                return
            overlap = 1 if self._widest > 1 else 0  # pages of one entry cannot overlap
            skip += len(page) - overlap
            page = self.fetch_page(skip, PAGE)
            joins = any(entry.provider_id in self.seen for entry in page)
            self.is_whole &= joins if overlap else not page

    def covers(self, moment: datetime) -> bool:
        """Return True if all entries since this time (by the provider's clock) were read."""
        if not self.is_whole:
            return False
        is_past = self.oldest is not None and self.oldest < moment
        if self.order is Order.NEWEST_FIRST:
            return self.has_ended or is_past
        if self.order is Order.OLDEST_FIRST:
            return self.has_ended and (self._start == 0 or is_past)
        return self.has_ended and self._start == 0

    def _first_page(self, horizon: datetime) -> Sequence[SendResult]:
        """Return the page at which reading starts.

        This is the first page, or a page near `horizon` if the list begins with its oldest entries.
        """
        page = self.fetch_page(0, PAGE)
        self.order = _order_of(page)
        if self.order is not Order.OLDEST_FIRST or _times(page)[-1] >= horizon:
            return page
        self._start = self._position_of(horizon)
        return self.fetch_page(self._start, PAGE) if self._start else page

    def _position_of(self, horizon: datetime) -> int:
        """Return the position of an entry that is a little older than `horizon`."""
        low, high = 0, PAGE
        while high < FARTHEST and self._is_older(high, horizon):
            low, high = high, high * 2
        while high - low > PAGE:
            middle = (low + high) // 2
            low, high = (middle, high) if self._is_older(middle, horizon) else (low, middle)
        return low

    def _is_older(self, position: int, horizon: datetime) -> bool:
        times = _times(self.fetch_page(position, 1))
        return bool(times) and times[0] < horizon

    def _new_entries(self, page: Sequence[SendResult]) -> list[SendResult]:
        fresh = []
        self._widest = max(self._widest, len(page))
        for entry in page:
            if not entry.provider_id:  # an unreadable entry may be the message searched for
                self.is_whole = False
            elif entry.provider_id not in self.seen:
                self.seen.add(entry.provider_id)
                fresh.append(entry)
                self._check_order(entry.created_at)
        return fresh

    def _check_order(self, moment: datetime | None) -> None:
        """Treat the list as unordered if an entry has no time, or a time that breaks the order."""
        if moment is None:
            self.order = None
            return
        last, self._last_time = self._last_time, moment
        self.oldest = min(self.oldest or moment, moment)
        if last is not None and self.order is not None:
            step = moment - last if self.order is Order.NEWEST_FIRST else last - moment
            self.order = None if step > JITTER else self.order

    def _is_over(self, page: Sequence[SendResult], fresh: Sequence[SendResult], idle: int) -> bool:
        if fresh:
            return False
        # A page with only the overlap is the end. A full page of known messages means that new
        # messages have shifted the list. Two such pages mean that the list ignores the position.
        self.has_ended = len(page) < min(self._widest, 2) or not page
        is_stuck = idle > 1 and not self.has_ended
        self.is_whole &= not is_stuck
        return self.has_ended or is_stuck

    def _is_past(self, page: Sequence[SendResult], horizon: datetime) -> bool:
        times = _times(page)
        return self.order is Order.NEWEST_FIRST and bool(times) and max(times) < horizon


def _times(page: Sequence[SendResult]) -> list[datetime]:
    return [entry.created_at for entry in page if entry.created_at is not None]


def _order_of(page: Sequence[SendResult]) -> Order | None:
    """Return the order of the entries on a page, or None if their times do not show an order."""
    times = _times(page)
    if len(times) < max(len(page), 2) or times[0] == times[-1]:
        return None
    return Order.NEWEST_FIRST if times[0] > times[-1] else Order.OLDEST_FIRST
