"""Reads the provider's list: its order, its page size and its limits are documented nowhere.

So nothing is assumed of it. The order shows in the times of the messages; each page overlaps the
one before by one message, so that a gap would be noticed; the list is over only when a page brings
nothing new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from ..sms import SendResult

PAGE = 100
MAX_PAGES = 1000

JITTER = timedelta(minutes=1)
"""By how much neighbours in a list that is ordered by time may stand the wrong way round."""

FetchPage = Callable[[int, int], Sequence[SendResult]]


class Order(Enum):
    NEWEST_FIRST = "newest first"
    OLDEST_FIRST = "oldest first"


@dataclass
class Listing:
    """One reading of the list, as far back as is asked for.

    Attributes:
        seen: the ids read.
        has_ended: the last page brought nothing new, so all of the list was read.
        is_whole: nothing was skipped, and everything could be read.
        oldest: the time of the oldest message read.
    """

    fetch_page: FetchPage
    seen: set[str] = field(default_factory=set)
    order: Order | None = None
    has_ended: bool = False
    is_whole: bool = True
    oldest: datetime | None = None
    _start: int = 0
    _widest: int = 0
    _last_time: datetime | None = None
    _is_disordered: bool = False

    def read(self, horizon: datetime) -> Iterator[list[SendResult]]:
        """Yield the new messages page by page, until all are older than the horizon, or the end."""
        page = self._first_page(horizon)
        skip, idle = self._start, 0
        for _ in range(MAX_PAGES):
            fresh = self._take(page)
            idle = 0 if fresh else idle + 1
            yield fresh
            if self._is_over(page, fresh, idle) or self._is_past(page, horizon):
                return
            overlap = 1 if self._widest > 1 else 0  # a page of one has no room for it
            skip += len(page) - overlap
            page = self.fetch_page(skip, PAGE)
            joins = any(one.provider_id in self.seen for one in page)
            self.is_whole &= joins if overlap else not page

    def covers(self, moment: datetime) -> bool:
        """Tell whether all that the list has, from this time of the provider's on, was read."""
        if not self.is_whole:
            return False
        is_past = self.oldest is not None and self.oldest < moment
        if self.order is Order.NEWEST_FIRST:
            return self.has_ended or is_past
        if self.order is Order.OLDEST_FIRST:
            return self.has_ended and (self._start == 0 or is_past)
        return self.has_ended and self._start == 0

    def _first_page(self, horizon: datetime) -> Sequence[SendResult]:
        page = self.fetch_page(0, PAGE)
        self.order = _order_of(page)
        times = _times(page)
        if self.order is not Order.OLDEST_FIRST or times[-1] >= horizon:
            return page
        self._start = self._position_of(horizon)
        return self.fetch_page(self._start, PAGE) if self._start else page

    def _position_of(self, horizon: datetime) -> int:
        """Return a position shortly before the horizon in a list that begins with the oldest."""
        low, high = 0, PAGE
        while high < PAGE * MAX_PAGES * 100 and self._is_older(high, horizon):
            low, high = high, high * 2
        while high - low > PAGE:
            middle = (low + high) // 2
            low, high = (middle, high) if self._is_older(middle, horizon) else (low, middle)
        return low

    def _is_older(self, position: int, horizon: datetime) -> bool:
        times = _times(self.fetch_page(position, 1))
        return bool(times) and times[0] < horizon

    def _take(self, page: Sequence[SendResult]) -> list[SendResult]:
        """Return what is new on the page, and keep account of order and reach."""
        fresh = []
        self._widest = max(self._widest, len(page))
        for result in page:
            if not result.provider_id:  # an entry that cannot be read might be anything
                self.is_whole = False
            elif result.provider_id not in self.seen:
                self.seen.add(result.provider_id)
                fresh.append(result)
                self._account_for(result)
        return fresh

    def _account_for(self, result: SendResult) -> None:
        moment = result.created_at
        if moment is None:
            self._is_disordered = True
        else:
            last, self._last_time = self._last_time, moment
            self.oldest = min(self.oldest or moment, moment)
            if last is not None and self.order is not None:
                step = moment - last if self.order is Order.NEWEST_FIRST else last - moment
                self._is_disordered |= step > JITTER
        if self._is_disordered:
            self.order = None

    def _is_over(self, page: Sequence[SendResult], fresh: Sequence[SendResult], idle: int) -> bool:
        if fresh:
            return False
        # One message, read already, is the overlap: the end. More of them have moved down since,
        # as new ones came; but a list that never brings anything new does not move at all.
        self.has_ended = len(page) < min(self._widest, 2) or not page
        is_stuck = idle > 1 and not self.has_ended
        self.is_whole &= not is_stuck
        return self.has_ended or is_stuck

    def _is_past(self, page: Sequence[SendResult], horizon: datetime) -> bool:
        times = _times(page)
        return self.order is Order.NEWEST_FIRST and bool(times) and max(times) < horizon


def _times(page: Sequence[SendResult]) -> list[datetime]:
    return [result.created_at for result in page if result.created_at is not None]


def _order_of(page: Sequence[SendResult]) -> Order | None:
    """Return the order that the times on a page show, or None if they show none."""
    times = _times(page)
    if len(times) < max(len(page), 2) or times[0] == times[-1]:
        return None
    return Order.NEWEST_FIRST if times[0] > times[-1] else Order.OLDEST_FIRST
