"""The data of one sync of one alias, with its requests and its database writes."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F, Q

from ..backends.base import BaseSMSBackend
from ..clock import database_now
from ..gateway.payload import digits
from ..models import Callback, Message, MessageQuerySet, Outcome
from ..sms import SendResult
from ..states import SETTLED_BY_PROVIDER, Cause, State
from .evidence import Evidence, PossibleSend, agrees, possible_sends
from .listing import Listing
from .ownership import Ownership, came_by_callback, names_another
from .report import SyncReport

logger = logging.getLogger("django_smsww")

OVERDUE = timedelta(hours=48)
"""The time for which the gateway tries to deliver a message (its specification 1.2.7)."""

FORGET = timedelta(days=30)
"""The age from which a sync no longer asks for a missing price or final state."""

SOON = timedelta(hours=1)
_AGES = [timedelta(hours=hours) for hours in (6, 24)]
_AGES += [timedelta(days=days) for days in (2, 4, 8, 15, 22, 29)]
"""The ages at which a sync asks again about a message that has no final state or no price."""

GIVE_UP = timedelta(days=7)
"""The age of an UNKNOWN message after which one last sync searches for the message."""

BLOCK_ROWS = 2000

_OPEN = Q(state__in=(State.NEW, State.PENDING, State.UNKNOWN))
# A price of zero counts as missing: the gateway fills in prices late.
_LACKS_PRICE = Q(state__in=SETTLED_BY_PROVIDER) & (Q(total_price=None) | Q(total_price=0))

OnRequest = Callable[[SyncReport], object]
T = TypeVar("T")


class Candidate(NamedTuple):
    """An accepted row that a sync can refresh. Tuples save memory if there are a million rows."""

    provider_id: str
    pk: int
    claimed_at: datetime
    checked_at: datetime | None


def record(message: Message, result: SendResult, *, is_authority: bool = False) -> Outcome:
    """Write the provider's record of a message into its row, and store the record as a `Callback`.

    Args:
        is_authority: True if the record answers a look-up of this one message; False for a list
            entry. Only the answer to a look-up can replace a final state by another final state.
    """
    using = message._state.db
    cause = Cause.LOOKUP if is_authority else Cause.EVIDENCE
    otherwise = None if message.is_accepted else State.NEW
    rows = Message.objects.using(using).filter(pk=message.pk)
    is_anothers = names_another(message, result)
    try:
        with transaction.atomic(using=using):
            outcome = Outcome.MISMATCH
            if not is_anothers:
                outcome = rows.accept(result, cause, otherwise=otherwise)
            Callback.objects.using(using).note_lookup(message, result, outcome)
    except IntegrityError:  # another row took the provider's id at this moment
        return Outcome.MISMATCH
    return outcome


@dataclass
class Session:
    """One sync of one alias.

    Attributes:
        restored_to: when the restored backup was made, or None.
        now: the database's time at the start of the sync, used as the current time for all rows.
        unknown: maps references to the UNKNOWN rows that were not found yet.
        candidates: maps provider ids to accepted rows that still lack a final state or a price.
        nameless: the accepted rows that have no provider id, as a dict from each row's reference
            to its `claimed_at`.
        ownership: rows and list entries that disagree about provider ids and references.
        disputed: rows that have another final state than their list entries.
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
        self.numbers = {digits(send.message.sent_to) for send in self.unknown.values()}
        self.candidates = self._candidates()
        self.nameless = self._nameless()
        self.disputed: list[Message] = []
        self.ownership = Ownership()

    def unknown_sends(self) -> list[PossibleSend]:
        return possible_sends(self.rows.filter(state=State.UNKNOWN).order_by("pk"))

    def _candidates(self) -> dict[str, Candidate]:
        due = (_OPEN & self._due(OVERDUE)) | (_LACKS_PRICE & self._due(SOON))
        named = self._recent().filter(due).exclude(provider_id=None).order_by("-pk")
        rows = named.values_list(*Candidate._fields).iterator(BLOCK_ROWS)
        # Note [Cursors behind PgBouncer]: iterator() opens a server-side cursor. A pooler that
        # changes the connection after each transaction loses a cursor that is not in one.
        with transaction.atomic(using=self.using):
            return {row.provider_id: row for row in map(Candidate._make, rows)}

    def _nameless(self) -> dict[UUID, Any]:
        accepted = self._recent().filter(provider_id=None).exclude(state=State.UNKNOWN)
        due = accepted.filter((_OPEN | _LACKS_PRICE) & self._due(SOON))
        return dict(due.values_list("reference", "claimed_at"))

    def _recent(self) -> MessageQuerySet:
        return self.rows.filter(claimed_at__gt=self.now - FORGET)

    def _due(self, first: timedelta) -> Q:
        """Return the query condition for the rows that a sync must check now.

        A row is due in each sync until it has the age `first`. After that, it is due once at each
        age in `_AGES`.
        """
        due = Q(checked_at=None) | Q(checked_at__lt=F("claimed_at") + first)
        for age in _AGES:
            due |= Q(claimed_at__lte=self.now - age, checked_at__lt=F("claimed_at") + age)
        return due

    def has_given_up(self, send: PossibleSend) -> bool:
        """Return True if no sync searches for this message any more.

        When the request is older than `GIVE_UP`, one more sync searches for the message. That is
        the last search.
        """
        checked_at = send.message.checked_at
        return checked_at is not None and checked_at > send.latest + GIVE_UP

    def searched(self) -> list[PossibleSend]:
        """Return the UNKNOWN rows that this sync searches for and has not found yet."""
        return [send for send in self.unknown.values() if not self.has_given_up(send)]

    def read_misnamed(self, owner: Message, entry: SendResult, named: Message | None) -> None:
        """Process a record with the id of `owner`, but the reference of another row (`named`)."""
        self.candidates.pop(entry.provider_id, None)
        if named is not None:
            self.evidence.contested.add(named.reference)
        if named is not None and agrees(named, entry) and came_by_callback(owner):
            self.ownership.misnamed.append(owner)
            self.ownership.named.append((named, entry))
            return
        fields = {"reference": owner.reference, "alias": owner.alias}
        text = "Message %s: the provider's record of its id names another message"
        logger.warning(text, owner.reference, extra=fields)

    # Writes

    def settle_ownership(self) -> None:
        """Remove wrong provider ids, and store each record in the row of its message."""
        self.ownership.give_back(self.rows)
        nameless = {row.pk for row in self.ownership.misnamed}
        for row, entry in self.ownership.named:
            if row.alias != self.backend.alias or row.provider_id == entry.provider_id:
                continue
            if row.provider_id and row.pk not in nameless:
                self.report.doubled.append(row.reference)
                self.record(row, entry)  # it moves nothing, and stores a mismatch
            else:
                self.adopt(row, entry)
                nameless.discard(row.pk)

    def record(self, row: Message, result: SendResult, *, is_authority: bool = False) -> Outcome:
        outcome = record(row, result, is_authority=is_authority)
        self.report.moved += outcome is Outcome.MOVED
        return outcome

    def adopt(self, row: Message, result: SendResult) -> None:
        """Store a list entry in the row of its message, and count the row as found."""
        if self.record(row, result) not in (Outcome.MOVED, Outcome.STOOD, Outcome.UNKNOWN_WORD):
            return
        self.report.found += 1
        self.report.looked += 1
        self.unknown.pop(row.reference, None)
        self.nameless.pop(row.reference, None)
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
