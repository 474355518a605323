"""Single values, formatted for changelists and pages."""

import json
from collections import Counter
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import dropwhile
from typing import Any

from django.db.models import Model
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.formats import date_format, localize, number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, pgettext

from ..backends.handler import sms_backends
from ..clock import local_time, rounded_up
from ..models import Batch, Message
from ..models.viewer import HIDDEN
from ..states import State
from .text import visible

TONES: dict[str, str] = {
    State.DELIVERED: "good",
    State.FAILED: "bad",
    State.UNDELIVERABLE: "bad",
    State.EXPIRED: "bad",
    State.REJECTED: "bad",
    State.UNKNOWN: "warn",
    State.VALIDATED: "quiet",
    State.CANCELLED: "quiet",
}


def badge(word: str) -> SafeString:
    """Return a coloured label for a state.

    If the package does not know the state, the label shows the provider's word.
    """
    is_known = word in State
    tone = TONES.get(word, "way" if is_known else "quiet")
    label = State(word).label if is_known else word
    return format_html('<span class="smsww-badge smsww-{}">{}</span>', tone, label)


def phone_number(number: str) -> SafeString:
    """Return a telephone number as HTML that reads from left to right in every language."""
    return format_html('<bdi dir="ltr">{}</bdi>', number)


def recipient_of(message: Message, *, is_shown: bool) -> SafeString | str:
    """Return the recipient and any `redirected_to`, as HTML. Mask both if `is_shown` is False."""
    number = phone_number(message.recipient) if is_shown else HIDDEN
    if not message.redirected_to:
        return number
    other = phone_number(message.redirected_to) if is_shown else HIDDEN
    mark = '{} <span class="smsww-mark">{} {}</span>'
    return format_html(mark, number, gettext("redirected to"), other)


def moment(at: datetime) -> SafeString:
    """Return date and time as HTML, with a possible line break only between date and time."""
    return format_html(
        '<span class="smsww-whole">{}</span> <span class="smsww-whole">{}</span>',
        localize(local_time(at).date()),
        localize(local_time(at).time()),
    )


def short_moment(at: datetime) -> SafeString:
    """Return day and time in a `<time>` element, with the year unless it is the current year."""
    local = local_time(at)
    is_this_year = local.year == local_time(timezone.now()).year
    day = date_format(local, "j M" if is_this_year else "j M Y")
    return format_html(
        '<time datetime="{}" title="{}"><span class="smsww-whole">{}</span> {}</time>',
        at.isoformat(),
        localize(local),
        day,
        date_format(local, "H:i"),
    )


def short_start(at: datetime) -> SafeString:
    """Return a start time as HTML, rounded up to a minute, so that the time is never too early."""
    return short_moment(rounded_up(at))


def exact_moment(at: datetime) -> SafeString:
    """Return date and time, with seconds, as HTML."""
    local = local_time(at)
    return format_html(
        '<time datetime="{}"><span class="smsww-whole">{}</span> {}</time>',
        at.isoformat(),
        localize(local.date()),
        date_format(local, "H:i:s"),
    )


def hour(at: datetime) -> str:
    """Return the time of day, with the name of the time zone."""
    return date_format(local_time(at), "H:i T").strip()


def money(amount: Decimal | None) -> str:
    """Return an amount in EUR without trailing zeros, such as "0.07 EUR"; "" for None."""
    if amount is None:
        return ""
    plain = f"{round(amount, 6):f}"  # SQLite adds amounts as floats
    if "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    return gettext("%s EUR") % number_format(Decimal(plain))


def duration(time: timedelta) -> str:
    """Return a duration in at most two units, such as "2 h 5 min"."""
    seconds = time.total_seconds()
    if seconds < 10:
        return pgettext("duration", "%s s") % number_format(seconds, 1)
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    units = (
        (days, pgettext("duration", "%s d")),
        (hours, pgettext("duration", "%s h")),
        (minutes, pgettext("duration", "%s min")),
        (rest, pgettext("duration", "%s s")),
    )
    shown = list(dropwhile(lambda unit: not unit[0], units))[:2]
    return " ".join(unit % number for number, unit in shown if number)


def kept_text(kept: str) -> SafeString | str:
    """Return a stored text as HTML, translated if it is one of this package's own texts."""
    return visible(gettext(kept)) if kept else ""


def pretty(payload: Any) -> SafeString:
    if isinstance(payload, str):
        return format_html("{}", payload)
    text = json.dumps(payload, indent=2, ensure_ascii=False, sort_keys=True)
    return format_html('<pre class="smsww-json" dir="ltr">{}</pre>', text)


def named_countries(counts: Counter[str]) -> list[tuple[str, int]]:
    """Return (country, count) pairs, the most frequent first."""
    ordered = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    return [(country or gettext("not known"), n) for country, n in ordered]


def alias_choices() -> list[tuple[str, str]]:
    return [(alias, alias) for alias in sms_backends]


def admin_url(site: str, model: type[Model], view: str, *args: Any) -> str:
    """Return the URL of a model's view in the admin site with the name `site`."""
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_{view}"
    return reverse(name, args=args, current_app=site)


def batch_url(site: str, batch: Any) -> str:
    """Return the URL of a batch's page or, if it has no page, of the list of its messages."""
    own = link_url(site, Batch, "page", batch)
    return own or f"{admin_url(site, Message, 'changelist')}?batch={batch}"


def link_url(site: str, model: type[Model], view: str, *args: Any) -> str:
    """Return the URL as `admin_url()` does, or "" if the admin site has no such view."""
    with suppress(NoReverseMatch):
        return admin_url(site, model, view, *args)
    return ""
