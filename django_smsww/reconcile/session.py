"""What the steps of one run share: whose rows, what is looked for, and what it came to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple, TypeVar
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F, Q

from ..backends.base import BaseSMSBackend
from ..clock import database_now
from ..gateway.payload import digits
from ..models import Callback, Message, MessageQuerySet, Outcome
from ..sms import SendResult
from ..states import SETTLED_BY_PROVIDER, Cause, State
from .evidence import Attempt, Evidence, attempts_of
from .listing import Listing
from .report import SyncReport

OVERDUE = timedelta(hours=48)
"""For how long the gateway tries to deliver (specification 1.2.7)."""

LATE_PRICE = timedelta(hours=72)
FORGET = timedelta(days=30)
GIVE_UP = timedelta(days=7)
"""A look-up later than this after an UNKNOWN attempt was the last."""

BLOCK = 2000
"""How many rows are read from the database at once."""

Watch = Callable[[SyncReport], None]
T = TypeVar("T")


def enter(message: Message, result: SendResult, *, is_authority: bool = False) -> Outcome:
    """Let the row take what the provider says of it, and keep what was said.

    Args:
        is_authority: it is the answer to a look-up of this one message. Only that may correct one
            final word into another; a page of the list counts as much as a callback.
    """
    using = message._state.db
    cause = Cause.LOOKUP if is_authority else Cause.EVIDENCE
    otherwise = None if message.is_accepted else State.NEW
    rows = Message.objects.using(using).filter(pk=message.pk)
    try:
        with transaction.atomic(using=using):
            outcome = rows.accept(result, cause, otherwise=otherwise)
            Callback.objects.using(using).note_lookup(message, result, outcome)
    except IntegrityError:  # another row took the provider's id at this moment
        return Outcome.MISMATCH
    return outcome


class Open(NamedTuple):
    """What is kept of an accepted row while it is looked for: there may be a million."""

    provider_id: str
    pk: int
    state: str
    claimed_at: datetime
    checked_at: datetime | None
    total_price: Decimal | None


class Work:
    """One run for one alias.

    Attributes:
        now: the database's time when the run began; what was true then is what is proved.
        unknown: the attempts that are not found yet, by reference.
        wanted: the accepted rows of which the provider has more to say, by its id.
        disputed: rows whose final word the list contradicts.
    """

    def __init__(
        self,
        backend: BaseSMSBackend,
        using: str,
        report: SyncReport,
        *,
        grace: timedelta,
        watch: Watch | None = None,
    ) -> None:
        self.backend, self.using, self.report, self.watch = backend, using, report, watch
        self.now = database_now(using)
        self.listing = Listing(self.fetch_page)
        self.evidence = Evidence(self.listing, self.now, grace)
        self.unknown: dict[UUID, Attempt] = {
            attempt.message.reference: attempt for attempt in self.attempts()
        }
        self.numbers = {digits(one.message.recipient) for one in self.unknown.values()}
        self.wanted = self.unfinished()
        self.disputed: list[Message] = []

    @property
    def rows(self) -> MessageQuerySet:
        rows: MessageQuerySet = Message.objects.using(self.using)
        return rows.of(self.backend.alias, self.backend.environment)

    def attempts(self) -> list[Attempt]:
        return attempts_of(self.rows.filter(state=State.UNKNOWN).order_by("pk"))

    def unfinished(self) -> dict[str, Open]:
        is_open = Q(state__in=(State.NEW, State.PENDING, State.UNKNOWN)) & (
            Q(checked_at=None) | Q(checked_at__lt=F("claimed_at") + OVERDUE)
        )
        lacks_price = (Q(total_price=None) | Q(total_price=0)) & Q(
            state__in=SETTLED_BY_PROVIDER, claimed_at__gt=self.now - LATE_PRICE
        )
        rows = self.rows.filter(is_open | lacks_price, claimed_at__gt=self.now - FORGET)
        named = rows.exclude(provider_id=None).order_by("-pk").values_list(*Open._fields)
        return {row.provider_id: row for row in map(Open._make, named.iterator(BLOCK))}

    def nameless(self) -> list[datetime]:
        """Return when the first was handed over of what was accepted and has no id to ask by."""
        accepted = self.rows.filter(state__in=(State.NEW, State.PENDING), provider_id=None)
        first = accepted.filter(claimed_at__gt=self.now - OVERDUE).order_by("claimed_at").first()
        return [first.claimed_at] if first and first.claimed_at else []

    def was_given_up(self, attempt: Attempt) -> bool:
        checked_at = attempt.message.checked_at
        return checked_at is not None and checked_at > attempt.over + GIVE_UP

    # Records

    def enter(self, row: Message, result: SendResult, *, is_authority: bool = False) -> Outcome:
        outcome = enter(row, result, is_authority=is_authority)
        self.report.moved += outcome is Outcome.MOVED
        return outcome

    def adopt(self, row: Message, result: SendResult) -> None:
        """Let a row take what was found to be its message."""
        if self.enter(row, result) not in (Outcome.MOVED, Outcome.STOOD, Outcome.UNKNOWN_WORD):
            return
        self.report.adopted += 1
        self.report.looked += 1
        self.unknown.pop(row.reference, None)
        times = {"checked_at": self.now}
        if row.claimed_at is None:  # what handed it over is lost with a backup
            times["claimed_at"] = result.created_at or self.now
        self.rows.filter(pk=row.pk).update(**times)

    # Requests

    def fetch_page(self, skip: int, limit: int) -> Sequence[SendResult]:
        self.report.pages += 1
        return self._counted(self.backend.fetch_page(skip, limit))

    def fetch(self, provider_id: str) -> SendResult | None:
        return self._counted(self.backend.fetch(provider_id))

    def _counted(self, answer: T) -> T:
        self.report.requests += 1
        if self.watch:
            self.watch(self.report)
        return answer
