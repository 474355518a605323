"""One sync of one alias: its rows, its requests, and the writes that its steps share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple, TypeVar

from django.db import IntegrityError, transaction
from django.db.models import F, Q

from ..backends.base import BaseSMSBackend
from ..clock import database_now
from ..gateway.payload import digits
from ..models import Callback, Message, MessageQuerySet, Outcome
from ..sms import SendResult
from ..states import SETTLED_BY_PROVIDER, Cause, State
from .evidence import Evidence, PossibleSend, possible_sends
from .listing import Listing
from .report import SyncReport

OVERDUE = timedelta(hours=48)
"""The gateway tries to deliver for so long (specification 1.2.7)."""

LATE_PRICE = timedelta(hours=72)
FORGET = timedelta(days=30)
GIVE_UP = timedelta(days=7)
"""The last search for an UNKNOWN message is later than this after its send."""

BLOCK_ROWS = 2000

OnRequest = Callable[[SyncReport], object]
T = TypeVar("T")


class Candidate(NamedTuple):
    """An accepted row of which the provider may have news; a tuple, as there may be a million."""

    provider_id: str
    pk: int
    state: str
    claimed_at: datetime
    checked_at: datetime | None
    total_price: Decimal | None


def record(message: Message, result: SendResult, *, is_authority: bool = False) -> Outcome:
    """Write the provider's record of a message into its row and into the ledger.

    Args:
        is_authority: the record answers a look-up of this one message. Only such a record may
            replace a final state by another one; a page of the list counts as a callback does.
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


@dataclass
class Session:
    """One sync of one alias.

    Attributes:
        restored_to: when the backup was made that has been restored, if one was.
        now: the database's time at the start; verdicts speak of this moment.
        unknown: possible sends of UNKNOWN rows that are not found yet, by reference.
        candidates: accepted rows of which the provider may have news, by its id.
        disputed: rows whose final state the list contradicts.
    """

    backend: BaseSMSBackend
    using: str
    report: SyncReport
    grace: timedelta
    restored_to: datetime | None
    on_request: OnRequest | None

    def __post_init__(self) -> None:
        everyones: MessageQuerySet = Message.objects.using(self.using)
        self.rows = everyones.of(self.backend.alias, self.backend.environment)
        self.now = database_now(self.using)
        self.listing = Listing(self.fetch_page)
        self.evidence = Evidence(self.listing, self.now, self.grace)
        self.unknown = {send.message.reference: send for send in self.unknown_sends()}
        self.numbers = {digits(send.message.recipient) for send in self.unknown.values()}
        self.candidates = self._candidates()
        self.disputed: list[Message] = []

    def unknown_sends(self) -> list[PossibleSend]:
        return possible_sends(self.rows.filter(state=State.UNKNOWN).order_by("pk"))

    def _candidates(self) -> dict[str, Candidate]:
        is_open = Q(state__in=(State.NEW, State.PENDING, State.UNKNOWN)) & (
            Q(checked_at=None) | Q(checked_at__lt=F("claimed_at") + OVERDUE)
        )
        lacks_price = (Q(total_price=None) | Q(total_price=0)) & Q(
            state__in=SETTLED_BY_PROVIDER, claimed_at__gt=self.now - LATE_PRICE
        )
        rows = self.rows.filter(is_open | lacks_price, claimed_at__gt=self.now - FORGET)
        named = rows.exclude(provider_id=None).order_by("-pk").values_list(*Candidate._fields)
        return {row.provider_id: row for row in map(Candidate._make, named.iterator(BLOCK_ROWS))}

    def has_given_up(self, send: PossibleSend) -> bool:
        """Tell whether an earlier sync has made the last search for this message."""
        checked_at = send.message.checked_at
        return checked_at is not None and checked_at > send.latest + GIVE_UP

    # Writes

    def record(self, row: Message, result: SendResult, *, is_authority: bool = False) -> Outcome:
        outcome = record(row, result, is_authority=is_authority)
        self.report.moved += outcome is Outcome.MOVED
        return outcome

    def adopt(self, row: Message, result: SendResult) -> None:
        """Give a row the entry of the list that was found to be its message."""
        if self.record(row, result) not in (Outcome.MOVED, Outcome.STOOD, Outcome.UNKNOWN_WORD):
            return
        self.report.adopted += 1
        self.report.looked += 1
        self.unknown.pop(row.reference, None)
        times = {"checked_at": self.now}
        if row.claimed_at is None:  # the claim was made after the backup, and is lost
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
        if self.on_request:
            self.on_request(self.report)
        return answer
