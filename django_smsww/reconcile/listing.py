"""Reads the provider's list, whose order, page size and limits are documented nowhere.

So nothing is assumed. The order shows in the times of the messages. Each page overlaps the one
before by one message, so that a gap is noticed. Only a page with nothing new ends the list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from ..sms import SendResult

PAGE = 100
MAX_PAGES = 1000
FARTHEST = PAGE * MAX_PAGES * 100
"""No position beyond this one is searched."""

JITTER = timedelta(minutes=1)
"""Neighbours in a list that is ordered by time may stand the wrong way round by so much."""

FetchPage = Callable[[int, int], Sequence[SendResult]]


class Order(Enum):
    NEWEST_FIRST = "newest first"
    OLDEST_FIRST = "oldest first"


@dataclass
class Listing:
    """The part of the list that was read.

    Attributes:
        seen: the ids read.
        has_ended: the last page brought nothing new, so the list was read to its end.
        is_whole: no gap was noticed, and every entry could be read.
        oldest: the time of the oldest message read.
        max_pages: how many pages are read, at most.
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
        """Yield the new entries page by page, until all are older than the horizon, or the end."""
        page = self._first_page(horizon)
        skip, idle = self._start, 0
        for _ in range(self.max_pages):
            fresh = self._new_entries(page)
            idle = 0 if fresh else idle + 1
            yield fresh
            if self._is_over(page, fresh, idle) or self._is_past(page, horizon):
                return
            overlap = 1 if self._widest > 1 else 0  # a page of one has no room for it
            skip += len(page) - overlap
            page = self.fetch_page(skip, PAGE)
            joins = any(entry.provider_id in self.seen for entry in page)
            self.is_whole &= joins if overlap else not page

    def covers(self, moment: datetime) -> bool:
        """Tell whether all entries since this time, by the provider's clock, were read."""
        if not self.is_whole:
            return False
        is_past = self.oldest is not None and self.oldest < moment
        if self.order is Order.NEWEST_FIRST:
            return self.has_ended or is_past
        if self.order is Order.OLDEST_FIRST:
            return self.has_ended and (self._start == 0 or is_past)
        return self.has_ended and self._start == 0

    def _first_page(self, horizon: datetime) -> Sequence[SendResult]:
        """Return the first page or, of a list that begins with the oldest, one near the horizon."""
        page = self.fetch_page(0, PAGE)
        self.order = _order_of(page)
        if self.order is not Order.OLDEST_FIRST or _times(page)[-1] >= horizon:
            return page
        self._start = self._position_of(horizon)
        return self.fetch_page(self._start, PAGE) if self._start else page

    def _position_of(self, horizon: datetime) -> int:
        """Search a position shortly before the horizon: double it, then halve the distance."""
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
        """Give up the order of the list at the first message without a time or out of order."""
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
        # A page with nothing but the overlap is the end. A full page of known messages means that
        # new ones have pushed them down; twice in a row, that the list ignores the position.
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
    """Return the order that the times on a page show, or None if they show none."""
    times = _times(page)
    if len(times) < max(len(page), 2) or times[0] == times[-1]:
        return None
    return Order.NEWEST_FIRST if times[0] > times[-1] else Order.OLDEST_FIRST
