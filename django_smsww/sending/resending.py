"""Send many messages once more, through the queue: `Message.objects.filter(…).resend()`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
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
from ..states import State
from .dispatch import Dispatch
from .rows import RowWriter
from .tracebacks import without_private_frames

BLOCK_ROWS = 250
PRICES_REACH = 100_000
"""How many of the newest rows are searched for a price."""


@dataclass
class Estimate:
    """The size of a resend, and its costs by the newest prices.

    Attributes:
        unpriced: how many messages go to countries without a known price.
    """

    messages: int = 0
    segments: int = 0
    cost: Decimal = Decimal(0)
    unpriced: int = 0
    countries: Counter[str] = field(default_factory=Counter)


def to_resend(rows: MessageQuerySet, *, delivered: bool = False) -> MessageQuerySet:
    """Return those of these rows that a mass resend sends."""
    rows = rows.resendable()
    return rows if delivered else rows.exclude(state=State.DELIVERED)


def estimate(rows: MessageQuerySet) -> Estimate:
    """Return the size and the costs of resending these rows of `to_resend()`."""
    found = Estimate()
    price_of = cache(lambda route, country: _newest_price(rows.db, route, country))
    columns = "pk", "route", "country", "recipient", "segments"
    for _key, route, country, recipient, segments in rows.values_list(*columns).distinct():
        country = country or _country_of(recipient)
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
    """Queue the resendable ones of these rows once more; see `MessageQuerySet.resend()`."""
    total, batch, states = rows.values("pk").distinct().count(), uuid4(), Counter[str]()
    for dispatch, keys in _by_alias(to_resend(rows, delivered=delivered), created_by):
        # Asked again for each block: a callback may have said meanwhile that one was delivered.
        fresh = to_resend(Message.objects.using(dispatch.using), delivered=delivered)
        for start in range(0, len(keys), BLOCK_ROWS):
            block = keys[start : start + BLOCK_ROWS]
            states.update(_resend_block(dispatch, fresh, block, batch))
    news = Message.objects.using(router.db_for_write(Message)).filter(batch=batch)
    written, failed = news.count(), states[State.FAILED]
    return ResendReport(batch, written - failed, failed, total - written)


def _by_alias(rows: MessageQuerySet, created_by: Any) -> list[tuple[Dispatch, list[int]]]:
    """Return the primary keys of each alias; an unknown alias raises before anything is queued."""
    keys = defaultdict(list)
    # All of them first: the new rows may belong to the same queryset.
    for key, alias in rows.order_by("pk").values_list("pk", "alias").distinct():
        keys[alias].append(key)
    return [(_queueing(alias, created_by), some) for alias, some in keys.items()]


def _queueing(alias: str, created_by: Any) -> Dispatch:
    backend = sms_backends[alias]
    return Dispatch(RowWriter(backend, queue=backend.queue or True, created_by=created_by))


def _resend_block(
    dispatch: Dispatch, rows: MessageQuerySet, keys: list[int], batch: UUID
) -> Iterator[str]:
    """Yield the states of the new rows, without those of messages that changed meanwhile."""
    firsts = {uuid4(): row for row in rows.filter(pk__in=keys).order_by("pk")}
    block = [
        row.as_sms().replace(
            recipient=row.recipient, reference=reference, priority=row.priority, batch=batch
        )
        for reference, row in firsts.items()
    ]
    try:
        yield from [row.state for row in dispatch.send([block], firsts)]
    except InvalidSMS:  # another resend was faster with one of them; no row was written
        half = len(keys) // 2
        for part in filter(None, (keys[:half], keys[half:]) if half else ()):
            yield from _resend_block(dispatch, rows, part, batch)


def _newest_price(using: str, route: str, country: str) -> Decimal | None:
    """Return the newest price of a segment on this route to this country, or None."""
    rows = Message.objects.using(using).order_by("-pk")
    newest = rows.values_list("pk", flat=True).first() or 0
    known = rows.sent_here().filter(
        pk__gt=newest - PRICES_REACH, route=route, country=country, price__gt=0
    )
    return known.values_list("price", flat=True).first() if country else None


def _country_of(number: str) -> str:
    try:
        return country_of(number) or ""
    except ImportError:  # phonenumbers is an extra
        return ""
