"""Single values, formatted for changelists and pages."""

from __future__ import annotations

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
from ..clock import local_time
from ..exceptions import error_kind
from ..models import Message
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
    """Return a state in words on its colour; the provider may send states that we do not know."""
    is_known = word in State
    tone = TONES.get(word, "way" if is_known else "quiet")
    label = State(word).label if is_known else word
    return format_html('<span class="smsww-badge smsww-{}">{}</span>', tone, label)


def phone_number(number: str) -> SafeString:
    """Return a number that reads from left to right in every language."""
    return format_html('<bdi dir="ltr">{}</bdi>', number)


def recipient_of(message: Message, *, is_shown: bool) -> SafeString | str:
    """Return the number of a message, and the one that it was redirected to."""
    number = phone_number(message.recipient) if is_shown else HIDDEN
    if not message.redirected_to:
        return number
    other = phone_number(message.redirected_to) if is_shown else HIDDEN
    mark = '{} <span class="smsww-mark">{} {}</span>'
    return format_html(mark, number, gettext("redirected to"), other)


def moment(at: datetime) -> SafeString:
    """Return a time that the browser may break between its date and its hour only."""
    return format_html(
        '<span class="smsww-whole">{}</span> <span class="smsww-whole">{}</span>',
        localize(local_time(at).date()),
        localize(local_time(at).time()),
    )


def short_moment(at: datetime) -> SafeString:
    """Return the day and the time, without the current year; the title has the whole time."""
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


def exact_moment(at: datetime) -> SafeString:
    """Return a time to the second."""
    local = local_time(at)
    return format_html(
        '<time datetime="{}"><span class="smsww-whole">{}</span> {}</time>',
        at.isoformat(),
        localize(local.date()),
        date_format(local, "H:i:s"),
    )


def money(amount: Decimal | None) -> str:
    """Return an amount without trailing zeros: "0.07 EUR"."""
    if amount is None:
        return ""
    plain = f"{amount:f}"
    if "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    return gettext("%s EUR") % number_format(Decimal(plain))


def duration(time: timedelta) -> str:
    """Return a duration in at most two units: "2 h 5 min"."""
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


def error_name(kept: str, status: int | None = None) -> str:
    """Return the words for the class of an error in a row and its HTTP status, or "" for none."""
    return error_kind(kept)(status=status).explain() if kept else ""


def kept_text(kept: str) -> SafeString | str:
    """Return a text of a row; rows hold our own texts in English, so they are translated here."""
    return visible(gettext(kept)) if kept else ""


def pretty(payload: Any) -> SafeString:
    """Return JSON with indentation."""
    if isinstance(payload, str):
        return format_html("{}", payload)
    text = json.dumps(payload, indent=2, ensure_ascii=False, sort_keys=True)
    return format_html('<pre class="smsww-json" dir="ltr">{}</pre>', text)


def named_countries(counts: Counter[str]) -> list[tuple[str, int]]:
    """Return the messages of each country, the most frequent first."""
    return [(country or gettext("not known"), n) for country, n in counts.most_common()]


def alias_choices() -> list[tuple[str, str]]:
    """Return the aliases of the settings, for a form."""
    return [(alias, alias) for alias in sms_backends]


def admin_url(site: str, model: type[Model], view: str, *args: Any) -> str:
    """Return the address of a model's view in the admin site of this name."""
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_{view}"
    return reverse(name, args=args, current_app=site)


def link_url(site: str, model: type[Model], view: str, *args: Any) -> str:
    """Return the same, or "" if the site has not registered the model."""
    with suppress(NoReverseMatch):
        return admin_url(site, model, view, *args)
    return ""
