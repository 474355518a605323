"""Send many messages again, through the queue: `Message.objects.filter(…).resend()`."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from typing import Any
from uuid import UUID, uuid4

from django.db import router

from ..backends.handler import sms_backends
from ..exceptions import InvalidSMS
from ..models import Message, MessageQuerySet
from ..models.resend_report import ResendReport
from ..numbers import country_of
from ..states import RESENDABLE, UNDELIVERED, State
from .dispatch import Dispatch
from .rows import RowWriter
from .tracebacks import without_private_frames

BLOCK_ROWS = 250
PRICES_REACH = 100_000
"""How many of the newest messages are searched for the last known price."""


@dataclass
class Estimate:
    """The size of a mass send, and its cost at the last known price for each route and country."""

    messages: int = 0
    segments: int = 0
    cost: Decimal = Decimal(0)
    unpriced: int = 0  # messages to countries without a known price
    countries: Counter[str] = field(default_factory=Counter)


def to_resend(rows: MessageQuerySet, states: Collection[State] = UNDELIVERED) -> MessageQuerySet:
    """Return the messages that are in one of these states and can be resent."""
    return rows.resendable().filter(state__in=states)


def estimate(rows: MessageQuerySet) -> Estimate:
    columns = "pk", "route", "country", "recipient", "segments"
    found = rows.values_list(*columns).distinct()
    return estimate_messages((columns[1:] for columns in found), using=rows.db)


def estimate_messages(
    messages: Iterable[tuple[str, str, str, int | None]], *, using: str
) -> Estimate:
    """Estimate what these messages cost.

    Each message is a tuple: route, country ("" if unknown), recipient and number of segments.
    """
    found = Estimate()
    price_of = cache(lambda route, country: _newest_price(using, route, country))
    for route, country, recipient, segments in messages:
        country = country or country_from(recipient)
        price = price_of(route, country)
        found.messages += 1
        found.segments += segments or 1
        found.countries[country] += 1
        found.cost += (price or 0) * (segments or 1)
        found.unpriced += price is None
    return found


@without_private_frames
def resend_many(
    rows: MessageQuerySet, *, created_by: Any = None, delivered: bool = False
) -> ResendReport:
    """Queue a new row for each message that can be resent. See `MessageQuerySet.resend()`."""
    total, batch, results = rows.values("pk").distinct().count(), uuid4(), Counter[str]()
    states = RESENDABLE if delivered else RESENDABLE - {State.DELIVERED}
    for dispatch, keys in _by_alias(to_resend(rows, states), created_by):
        # Read again for each block: a callback may have reported a delivery meanwhile.
        fresh = to_resend(Message.objects.using(dispatch.using), states)
        for start in range(0, len(keys), BLOCK_ROWS):
            block = keys[start : start + BLOCK_ROWS]
            results.update(_resend_block(dispatch, fresh, block, batch))
    news = Message.objects.using(router.db_for_write(Message)).filter(batch=batch)
    written, failed = news.count(), results[State.FAILED]
    return ResendReport(batch, written - failed, failed, total - written)


def _by_alias(rows: MessageQuerySet, created_by: Any) -> list[tuple[Dispatch, list[int]]]:
    """Return one pair for each alias: a Dispatch and the primary keys of the rows.

    If an alias is unknown, raise an error before the first row is queued.
    """
    keys = defaultdict(list)
    # Read all keys first: the new rows may belong to the same queryset.
    for key, alias in rows.order_by("pk").values_list("pk", "alias").distinct():
        keys[alias].append(key)
    return [(_queueing(alias, created_by), some) for alias, some in keys.items()]


def _queueing(alias: str, created_by: Any) -> Dispatch:
    backend = sms_backends[alias]
    return Dispatch(RowWriter(backend, queue=backend.queue or True, created_by=created_by))


def _resend_block(
    dispatch: Dispatch, rows: MessageQuerySet, keys: list[int], batch: UUID
) -> Iterator[str]:
    """Resend the messages that can still be resent, and yield the states of the new rows."""
    firsts = {uuid4(): row for row in rows.filter(pk__in=keys).order_by("pk")}
    block = [
        row.as_sms().replace(
            recipient=row.recipient, reference=reference, priority=row.priority, batch=batch
        )
        for reference, row in firsts.items()
    ]
    try:
        yield from [row.state for row in dispatch.send([block], firsts)]
    except InvalidSMS:  # another call has just resent one of them; no row was written
        half = len(keys) // 2
        for part in filter(None, (keys[:half], keys[half:]) if half else ()):
            yield from _resend_block(dispatch, rows, part, batch)


def _newest_price(using: str, route: str, country: str) -> Decimal | None:
    rows = Message.objects.using(using).order_by("-pk")
    newest = rows.values_list("pk", flat=True).first() or 0
    known = rows.sent_here().filter(
        pk__gt=newest - PRICES_REACH, route=route, country=country, price__gt=0
    )
    return known.values_list("price", flat=True).first() if country else None


def country_from(number: str) -> str:
    """Return the country of a number; "" if the country is unknown or phonenumbers is missing."""
    try:
        return country_of(number) or ""
    except ImportError:  # phonenumbers is an extra
        return ""
