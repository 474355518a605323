"""Everything that happened to a message, in its order, with the time that each step took."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import dropwhile
from typing import Any

from django.db.models import F, QuerySet
from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.translation import gettext, pgettext
from django.utils.translation import gettext_lazy as _

from ...gateway.payload import read_money
from ...models import Callback, Event, Message
from ..formatting import badge, change_url, error_name, kept_text, money
from ..permissions import HIDDEN, Viewer
from ..text import visible

MOST_SHOWN = 100
"""How many callbacks and events a page shows, the newest."""

Text = str | Promise


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened.

    Attributes:
        after: how long after the one before it.
        link: the page of the row that says so, and what it is called.
    """

    at: datetime
    title: Text
    badge: str = ""
    details: tuple[Text, ...] = ()
    by: str = ""
    link: tuple[str, Text] | None = None
    after: str = ""


def timeline(message: Message, viewer: Viewer, site: str) -> list[Entry]:
    """Return what is known to have happened, the earliest first."""
    entries = [
        *_life(message, viewer, site),
        *_done(message, viewer),
        *_heard(message, viewer, site),
    ]
    entries.sort(key=lambda entry: entry.at)
    return [
        replace(entry, after=lasted(entry.at - before.at) if before else "")
        for entry, before in zip(entries, [None, *entries], strict=False)
    ]


def lasted(time: timedelta) -> str:
    """Return a duration as people say it, with two units at most."""
    seconds = time.total_seconds()
    if seconds < 10:
        return pgettext("duration", "%s s") % number_format(seconds, 1)
    days, rest = divmod(round(seconds), 86400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    units = (
        (days, pgettext("duration", "%s d")),
        (hours, pgettext("duration", "%s h")),
        (minutes, pgettext("duration", "%s min")),
        (rest, pgettext("duration", "%s s")),
    )
    said = list(dropwhile(lambda unit: not unit[0], units))
    return " ".join(unit % number for number, unit in said[:2] if number)


def _life(message: Message, viewer: Viewer, site: str) -> Iterator[Entry]:
    """Yield what the row itself says, and its neighbours in the chain of resends."""
    origin = message.resend_of
    yield Entry(
        message.created_at,
        _("Created as a resend") if origin else _("Created"),
        by=str(message.created_by or ""),
        link=_link(origin, site) if origin else None,
    )
    if message.claimed_at:
        times = gettext("Attempt %d") % message.attempts
        yield Entry(message.claimed_at, _("Handed over"), details=(times,))
    if message.sent_at:
        yield Entry(message.sent_at, _("Sent, says the gateway"))
    if message.delivered_at:
        yield Entry(message.delivered_at, _("Delivered, says the gateway"))
    newer = getattr(message, "resent_as", None)
    if newer:
        by = str(newer.created_by or "")
        yield Entry(
            newer.created_at, _("Resent"), badge(newer.state), by=by, link=_link(newer, site)
        )


def _link(message: Message, site: str) -> tuple[str, Text]:
    return change_url(Message, message.pk, site), str(message)


def _done(message: Message, viewer: Viewer) -> Iterator[Entry]:
    """Yield what we or a person did: attempts, settlements, and so on."""
    for event in _newest(message.events.select_related("user")):
        yield Entry(
            event.created_at,
            event.get_kind_display(),
            badge(event.state) if event.state else "",
            tuple(_details(event, viewer)),
            str(event.user or ""),
        )


def _details(event: Event, viewer: Viewer) -> Iterator[Text]:
    if event.error:
        yield error_name(event.error)
    if not viewer.may_read_error(event):
        return
    status = f"HTTP {event.error_status}" if event.error_status else ""
    yield from filter(None, (event.error_code, status, kept_text(event.error_text)))
    if event.reason:  # a person wrote it, and may have named a number
        yield visible(event.reason) if viewer.sees_content else HIDDEN


def _heard(message: Message, viewer: Viewer, site: str) -> Iterator[Entry]:
    """Yield the callbacks and look-ups, each with the price if it is another one than before."""
    said = message.callbacks.defer("payload").annotate(
        said_price=F("payload__totalPrice"), found_price=F("payload__total_price")
    )
    price: Decimal | None = None
    for callback in _newest(said):
        fresh = _price(callback)
        details = [callback.get_outcome_display()]
        if callback.times > 1:
            details.append(gettext("%d times") % callback.times)
        if viewer.sees_costs and fresh not in (None, price):
            details.append(_price_change(price, fresh))
        price = price if fresh is None else fresh
        payload = (change_url(Callback, callback.pk, site), _("Payload"))
        yield Entry(
            callback.received_at,
            callback.get_source_display(),
            badge(callback.state) if callback.state else "",
            tuple(details),
            link=payload if viewer.sees_callbacks else None,
        )


def _price(callback: Any) -> Decimal | None:
    said = callback.said_price if callback.said_price is not None else callback.found_price
    return read_money(said)


def _price_change(before: Decimal | None, after: Decimal | None) -> str:
    if before is None:
        return gettext("Price: %s") % money(after)
    return gettext("Price: %(before)s → %(after)s") % {
        "before": money(before),
        "after": money(after),
    }


def _newest(rows: QuerySet[Any]) -> Iterable[Any]:
    """Return the newest rows, the earliest of them first."""
    return list(rows.order_by("-pk")[:MOST_SHOWN])[::-1]
