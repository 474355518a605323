"""The timeline of a message: its steps in order, with the time between them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import F, QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..gateway.payload import read_money
from ..models import Callback, Event, Message
from ..models.viewer import HIDDEN, Viewer
from .advice import error_in_words
from .formatting import (
    admin_url,
    badge,
    duration,
    exact_moment,
    kept_text,
    link_url,
    money,
)
from .text import visible

MOST_SHOWN = 100
"""A page shows only the newest callbacks and the newest events, at most this many of each."""

Text = str | Promise


@dataclass(frozen=True, slots=True)
class Entry:
    """A step of the timeline.

    Attributes:
        after: the time since the previous step; "" for the first step.
        link: the URL and the text of a link to another row.
    """

    at: datetime
    title: Text
    badge: str = ""
    details: tuple[Text, ...] = ()
    by: str = ""
    link: tuple[str, Text] | None = None
    after: str = ""

    @property
    def moment(self) -> str:
        return exact_moment(self.at)


def timeline(message: Message, viewer: Viewer, site: str) -> list[Entry]:
    """Return the known steps of the message, the earliest first."""
    entries = [
        *_from_row(message, site),
        *_from_events(message, viewer),
        *_from_callbacks(message, viewer, site),
    ]
    entries.sort(key=lambda entry: entry.at)
    return [
        replace(entry, after=duration(entry.at - before.at) if before else "")
        for entry, before in zip(entries, [None, *entries], strict=False)
    ]


def _from_row(message: Message, site: str) -> Iterator[Entry]:
    """Yield the steps that the row of the message records, such as "Created" and "Resent"."""
    origin, newer = message.resend_of, getattr(message, "resent_as", None)
    title = _("Created as a resend") if origin else _("Created")
    yield Entry(
        message.created_at, title, by=str(message.created_by or ""), link=_link(origin, site)
    )
    if message.claimed_at and message.attempts:  # an attempt that was put back does not count
        attempt = gettext("Attempt %d") % message.attempts
        yield Entry(message.claimed_at, _("Handed over"), details=(attempt,))
    if message.sent_at:
        yield Entry(message.sent_at, _("Sent, according to the gateway"))
    if message.delivered_at:
        yield Entry(message.delivered_at, _("Delivered, according to the gateway"))
    if newer:
        user, state = str(newer.created_by or ""), badge(newer.state)
        yield Entry(newer.created_at, _("Resent"), state, by=user, link=_link(newer, site))


def _link(row: Message | None, site: str) -> tuple[str, Text] | None:
    return (admin_url(site, Message, "change", row.pk), str(row)) if row else None


def _from_events(message: Message, viewer: Viewer) -> Iterator[Entry]:
    """Yield the events of the message, such as send attempts and decisions of users."""
    for event in _newest(message.events.select_related("user")):
        yield Entry(
            event.created_at,
            event.get_kind_display(),
            badge(event.state) if event.state else "",
            tuple(_event_details(event, viewer)),
            str(event.user or ""),
        )


def _event_details(event: Event, viewer: Viewer) -> Iterator[Text]:
    if event.error:
        yield error_in_words(event.error, event.error_code, event.error_status)
    if not viewer.may_read_error(event):
        return
    status = f"HTTP {event.error_status}" if event.error_status else ""
    yield from filter(None, (event.error_code, status, kept_text(event.error_text)))
    if event.reason:  # a person wrote it, and may have named a number
        yield visible(event.reason) if viewer.sees_content else HIDDEN


def _from_callbacks(message: Message, viewer: Viewer, site: str) -> Iterator[Entry]:
    """Yield the callbacks and look-ups. A price is shown only when it is new or has changed."""
    said = message.callbacks.defer("payload").annotate(
        said_price=F("payload__totalPrice"), found_price=F("payload__total_price")
    )
    before: Decimal | None = None
    for callback in _newest(said):
        price = _price(callback)
        url = viewer.sees_callbacks and link_url(site, Callback, "change", callback.pk)
        yield Entry(
            callback.received_at,
            callback.get_source_display(),
            badge(callback.state) if callback.state else "",
            tuple(_callback_details(callback, viewer, before, price)),
            link=(url, _("Payload")) if url else None,
        )
        before = before if price is None else price


def _price(callback: Any) -> Decimal | None:
    said = callback.said_price if callback.said_price is not None else callback.found_price
    return read_money(said)


def _callback_details(
    callback: Callback, viewer: Viewer, before: Decimal | None, price: Decimal | None
) -> Iterator[Text]:
    yield callback.get_outcome_display()
    if callback.times > 1:
        yield gettext("%d times") % callback.times
    if not viewer.sees_costs or price in (None, before):
        return
    if before is None:
        yield gettext("Price: %s") % money(price)
    else:
        prices = {"before": money(before), "after": money(price)}
        yield gettext("Price: %(before)s → %(after)s") % prices


def _newest(rows: QuerySet[Any]) -> Iterable[Any]:
    """Return the newest `MOST_SHOWN` rows, ordered from old to new."""
    return list(rows.order_by("-pk")[:MOST_SHOWN])[::-1]
