"""Read the provider's list of messages, and store the messages that other programs sent.

A message of this project must not be stored twice, because it would be counted twice. So entries
with a reference of any deployment of this project are skipped. An entry is also skipped if it may
belong to a row that has no provider id yet. If a message from the list later proves to be ours, the
row that this module stored is deleted: see Note [Ids of adopted messages] in `models/queryset.py`.
"""

import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from django.db import router
from django.db.models import Max

from ..backends.base import BaseSMSBackend
from ..clock import midnight, project_time
from ..exceptions import ACCOUNT_ERRORS, SMSError, SMSUnavailable
from ..gateway.payload import digits
from ..models import DailyTotal, Message
from ..models.elsewhere import add_from_elsewhere, refresh_from_elsewhere
from ..sms import RESERVED_CUSTOM_KEY, SendResult
from .evidence import PossibleSend, possible_sends, rivals_of
from .listing import FetchPage, Listing
from .matching import has_news
from .report import Adoption

REMEMBERED = 1000
"""How many ids of the provider's list are kept in memory, to notice gaps and the list's end."""

REACH = timedelta(days=1)
"""An entry cannot belong to a row of ours if their sending times differ by more than this."""

WAITS = (1.0, 5.0, 30.0)
"""The seconds to wait before each retry of a page request, if the provider is unavailable."""

LONGEST_WAIT = 60.0
_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)


class RecentIds(set[str]):
    """A set that keeps only the ids that were added last, to limit memory."""

    def __init__(self) -> None:
        super().__init__()
        self._order: deque[str] = deque()

    def add(self, identifier: str) -> None:
        super().add(identifier)
        self._order.append(identifier)
        if len(self._order) > REMEMBERED:
            self.discard(self._order.popleft())


def adopt_history(
    backend: BaseSMSBackend,
    *,
    since: datetime | None = None,
    with_content: bool = False,
    dry_run: bool = False,
    on_page: Callable[[Adoption, int], object] | None = None,
) -> Adoption:
    """Store the messages that other programs sent through the account of the backend.

    The caller first calls `sync()`, which finds the ids of our own messages. This function can be
    stopped and called again. It does not raise the provider's errors: see `error` of the report.

    Args:
        since: store no messages older than this time; by default, read the whole list.
        with_content: also store numbers and texts, but not in rows that already exist.
        dry_run: write nothing, and only count.
        on_page: called after each page, with the report so far and the number of entries that no
            earlier page had.
    """
    report = Adoption(backend.alias, is_dry_run=dry_run)
    if not backend.supports_fetch_page:
        report.skipped = "its backend cannot list messages."
        return report
    run = _Run(backend, router.db_for_write(Message), report, with_content, since)
    listing = Listing(_patient(backend.fetch_page), RecentIds(), max_pages=sys.maxsize)
    with backend:
        try:
            for page in listing.read(since or project_time(_BEGINNING)):
                run.read_page(page)
                if on_page:
                    on_page(report, len(page))
        except SMSError as error:
            report.error = error
    report.is_whole = listing.is_whole
    return report


def _patient(fetch_page: FetchPage) -> FetchPage:
    """Return a variant of `fetch_page` that retries a few times if the provider is unavailable."""

    def fetch(skip: int, limit: int) -> Sequence[SendResult]:
        for wait in WAITS:
            try:
                return fetch_page(skip, limit)
            except SMSUnavailable as error:
                if isinstance(error, ACCOUNT_ERRORS):
                    raise
                time.sleep(min(error.retry_after or wait, LONGEST_WAIT))
        return fetch_page(skip, limit)

    return fetch


@dataclass
class _Run:
    """One run that adds the messages of other programs to one alias."""

    backend: BaseSMSBackend
    using: str
    report: Adoption
    with_content: bool
    since: datetime | None
    pruned_before: datetime | None = field(init=False)

    def __post_init__(self) -> None:
        groups = DailyTotal.objects.using(self.using).groups()
        ours = groups.filter(alias=self.backend.alias, environment=self.backend.environment)
        last = ours.aggregate(day=Max("day"))["day"]
        self.pruned_before = last and midnight(last + timedelta(days=1))

    def read_page(self, page: Sequence[SendResult]) -> None:
        entries = [entry for entry in page if not self._is_too_old(entry)]
        self.report.listed += len(entries)
        entries = [_with_number(entry) for entry in entries if self._is_strange(entry)]
        # In this order: a row of ours may get its id just now, and one of the two queries finds it.
        sends = self._unsettled(entries)
        rows = self._rows_of(entries)
        fresh = [one for one in entries if self._is_new(one, rows, sends)]
        self.report.added += len(fresh)
        if not self.report.is_dry_run:
            add_from_elsewhere(
                fresh,
                self.backend.alias,
                self.backend.environment,
                with_content=self.with_content,
                using=self.using,
            )

    def _is_too_old(self, entry: SendResult) -> bool:
        is_dated = self.since is not None and entry.created_at is not None
        return is_dated and entry.created_at < self.since  # type: ignore[operator]

    def _is_strange(self, entry: SendResult) -> bool:
        """Return whether the entry may come from another program. If not, count it as skipped."""
        if RESERVED_CUSTOM_KEY in entry.custom:
            self.report.stamped += 1
        elif entry.created_at is None or not digits(entry.recipient):
            self.report.unreadable += 1
        elif self.pruned_before is not None and entry.created_at < self.pruned_before:
            self.report.pruned += 1
        else:
            return True
        return False

    def _unsettled(self, entries: Sequence[SendResult]) -> list[PossibleSend]:
        """Return our messages that have a number from `entries`, but no provider id."""
        rows = Message.objects.using(self.using).sent_here()
        return possible_sends(rivals_of(rows, {entry.recipient for entry in entries}))

    def _rows_of(self, entries: Sequence[SendResult]) -> dict[str, Message]:
        """Map provider ids to rows of any alias, because aliases may share an account."""
        ids = [entry.provider_id for entry in entries]
        rows = Message.objects.using(self.using).defer("body").filter(provider_id__in=ids)
        return {row.provider_id or "": row for row in rows}

    def _is_new(
        self, entry: SendResult, rows: dict[str, Message], sends: Sequence[PossibleSend]
    ) -> bool:
        """Return True if the entry must be stored as a new row.

        If an entry of another program already has a row, update that row and return False.
        """
        row = rows.get(entry.provider_id)
        if row is None:
            may_be_ours = any(_may_be(send, entry) for send in sends)
            self.report.held_back += may_be_ours
            return not may_be_ours
        if row.is_from_elsewhere and has_news(row, entry):
            self.report.updated += 1
            if not self.report.is_dry_run:
                refresh_from_elsewhere(row, entry)
        else:
            self.report.known += 1
        return False


def _with_number(entry: SendResult) -> SendResult:
    """Return a copy of the entry with its number in E.164, such as "+393331234567"."""
    return replace(entry, recipient=f"+{digits(entry.recipient)}"[:32])


def _may_be(send: PossibleSend, entry: SendResult) -> bool:
    if entry.created_at is None or f"+{digits(send.message.sent_to)}" != entry.recipient:
        return False
    return send.earliest - REACH <= entry.created_at <= send.latest + REACH
