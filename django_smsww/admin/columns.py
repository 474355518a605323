"""The columns of the message list, and the read-only fields of the change view.

A method named `hidden_…` shows a mask to users who may not see the values of a column.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import lookup_field
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..models import Batch, Message
from ..models.viewer import CONTENT_FIELDS, COST_FIELDS, HIDDEN, Viewer
from ..states import State
from .advice import error_in_words, explain, is_paused, next_try
from .formatting import (
    alias_choices,
    badge,
    exact_moment,
    kept_text,
    link_url,
    money,
    pretty,
    recipient_of,
    short_moment,
    short_start,
)
from .text import visible

EXCERPT = 60

COLUMNS = ("state_badge", "created", "number", "excerpt", "size", "alias", "sent_by")
LINKED = ("created", "number", "hidden_number")
MASKS = {
    "number": "hidden_number",
    "recipient": "hidden_number",
    "excerpt": "hidden_text",
    "body": "hidden_text",
}
CONTENT = CONTENT_FIELDS | {*MASKS, "custom_fact"}
"""Columns that show numbers, texts or custom data. Some users may not see these values."""

MESSAGE = (
    "origin_fact",
    "sender",
    "tag",
    "alias",
    "environment",
    "created_by",
    "dry_run",
    "sensitive",
)
MASKED_COSTS = {"size": "segments"}
PROVIDER = ("reference", "provider_id", "route", "encoding", "characters", "segments", "batch_link")
ERROR = ("error_fact", "error_code", "error_status")
COSTS = ("unit_price", "total", "fine")
PRICES = COST_FIELDS | {*COSTS}
TIME_FIELDS = (
    "created_at",
    "send_at",
    "claimed_at",
    "sent_at",
    "delivered_at",
    "finished_at",
    "expires_at",
    "checked_at",
    "provider_updated_at",
)
TIMES = (*(f"{name}_fact" for name in TIME_FIELDS), "attempts")
EMPTY = ("", None)


def without_lone_alias(columns: Iterable[Any]) -> tuple[Any, ...]:
    """Leave out the column "alias" if the settings have only one alias."""
    is_alone = len(alias_choices()) == 1
    return tuple(column for column in columns if column != "alias" or not is_alone)


def list_columns(columns: Iterable[Any], viewer: Viewer) -> tuple[Any, ...]:
    """Return the columns. Depending on the viewer, mask numbers and texts, and leave out costs."""
    masks = {} if viewer.sees_content else MASKS
    if not viewer.sees_costs:
        masks = masks | MASKED_COSTS
    columns = [masks.get(column, column) for column in columns]
    return tuple(column for column in columns if not is_hidden(column, viewer))


def is_hidden(name: Any, viewer: Viewer) -> bool:
    """Whether the values of this column, search field or filter are hidden from the viewer."""
    path = name[0] if isinstance(name, list | tuple) else name
    parts = path.lstrip("^=@").split("__") if isinstance(path, str) else ()
    content = not viewer.sees_content and not CONTENT.isdisjoint(parts)
    return content or (not viewer.sees_costs and not PRICES.isdisjoint(parts))


def fact_groups(
    model_admin: Any, message: Message, viewer: Viewer
) -> list[tuple[Any, dict[str, Any]]]:
    """Return the fieldsets of the change view: all non-empty fields that the viewer may see."""
    content = ("key", "custom_fact") if viewer.sees_content else ()
    reasons = ("blocklisted_reason",) if viewer.sees_content else ()
    error = (*ERROR, "error_text_fact") if viewer.may_read_error(message) else ("error_fact",)
    groups = [
        (_("Message"), (*MESSAGE, *content)),
        (_("At the gateway"), (*PROVIDER, *reasons)),
        (_("Error"), error),
        (_("Costs"), COSTS if viewer.sees_costs else ()),
        (_("Times"), TIMES),
    ]
    shown = ((title, _filled(model_admin, message, names)) for title, names in groups)
    return [(title, {"fields": fields}) for title, fields in shown if fields]


def _filled(model_admin: Any, message: Message, names: tuple[str, ...]) -> list[str]:
    values = {name: lookup_field(name, message, model_admin)[2] for name in names}
    # `is not False`, because zero attempts are shown, and 0 == False.
    return [name for name, value in values.items() if value is not False and value not in EMPTY]


def excerpt_of(message: Message) -> SafeString:
    if message.scrubbed:
        why = _("not stored") if message.is_from_elsewhere else _("text deleted")
        return format_html("<em>{}</em>", why)
    text = Truncator(message.body).chars(EXCERPT)
    return format_html('<bdi class="smsww-excerpt">{}</bdi>', visible(text))


def _when(message: Message, at: datetime) -> SafeString | Promise:
    """Return the time of the next attempt, as a text.

    The text is "after the pause" if the alias is paused. Otherwise, it is "soon" for a past time.
    """
    if is_paused(message):
        return _("after the pause")
    return short_start(at) if at > timezone.now() else _("soon")


def _tagged(text: Any, message: Message) -> SafeString:
    mark = format_html(' <span class="smsww-tag">{}</span>', message.tag) if message.tag else ""
    return format_html("{}{}", text, mark)


class MessageColumns:
    """Columns and read-only fields that show more than a plain model field."""

    admin_site: admin.AdminSite

    @admin.display(description=_("created"))
    def created(self, message: Message) -> SafeString:
        return short_moment(message.created_at)

    @admin.display(description=_("recipient"))
    def number(self, message: Message) -> SafeString:
        return self._with_country(message, is_shown=True)

    @admin.display(description=_("recipient"))
    def hidden_number(self, message: Message) -> SafeString:
        return self._with_country(message, is_shown=False)

    @staticmethod
    def _with_country(message: Message, *, is_shown: bool) -> SafeString:
        number, country = recipient_of(message, is_shown=is_shown), message.country
        return format_html('{} <span class="smsww-country">{}</span>', number, country)

    @admin.display(description=_("text"))
    def excerpt(self, message: Message) -> SafeString:
        return _tagged(excerpt_of(message), message)

    @admin.display(description=_("text"))
    def hidden_text(self, message: Message) -> SafeString:
        return _tagged(HIDDEN, message)

    @admin.display(description=_("state"))
    def state_badge(self, message: Message) -> SafeString:
        """Return the state, its reason, the time of the next attempt, and marks like "dry run"."""
        said = badge(message.state)
        if message.dry_run:
            said = format_html('{} <span class="smsww-mark">{}</span>', said, _("dry run"))
        if message.blocklisted:
            warning = '{} <span class="smsww-badge smsww-warn">{}</span>'
            said = format_html(warning, said, _("blocklisted"))
        if reason := explain(message).short:
            said = format_html('{} <span class="smsww-reason">{}</span>', said, reason)
        if at := next_try(message):
            again = '{} <span class="smsww-reason">{} {}</span>'
            said = format_html(again, said, _("next try:"), _when(message, at))
        if newer := getattr(message, "resent_state", ""):  # a subclass may have its own ChangeList
            resent = gettext("resent: %s") % State(newer).label
            said = format_html('{} <span class="smsww-reason">{}</span>', said, resent)
        return said

    @admin.display(description=_("batch"))
    def batch_link(self, message: Message) -> SafeString | str:
        if not message.batch:
            return ""
        url = link_url(self.admin_site.name, Batch, "page", message.batch)
        return format_html('<a href="{}">{}</a>', url, message.batch)

    @admin.display(description=_("segments, price"))
    def size(self, message: Message) -> SafeString:
        segments = "" if message.segments is None else message.segments
        price = money(message.total_price)
        return format_html('{} <span class="smsww-whole">{}</span>', segments, price)

    @admin.display(description=_("total price"))
    def total(self, message: Message) -> str:
        return money(message.total_price)

    @admin.display(description=_("price per segment"))
    def unit_price(self, message: Message) -> str:
        return money(message.price)

    @admin.display(description=_("estimated penalty"))
    def fine(self, message: Message) -> str:
        return money(message.penalty)

    @admin.display(description=_("user"))
    def sent_by(self, message: Message) -> str:
        """Return the user who sent the message, or the text "program" if no user sent it.

        For messages from outside this project, return the text "Elsewhere".
        """
        return self.origin_fact(message) or str(message.created_by or _("program"))

    @admin.display(description=_("origin"))
    def origin_fact(self, message: Message) -> str:
        return message.get_origin_display() if message.is_from_elsewhere else ""

    @admin.display(description=_("error"))
    def error_fact(self, message: Message) -> str:
        return error_in_words(message.error, message.error_code, message.error_status)

    @admin.display(description=_("error text"))
    def error_text_fact(self, message: Message) -> SafeString | str:
        return kept_text(message.error_text)

    @admin.display(description=_("custom data"))
    def custom_fact(self, message: Message) -> SafeString | str:
        return pretty(message.custom) if message.custom else ""


def _time_fact(name: str) -> Callable[[MessageColumns, Message], SafeString | str]:
    field: Any = Message._meta.get_field(name)

    @admin.display(description=field.verbose_name)
    def fact(self: MessageColumns, message: Message) -> SafeString | str:
        at = getattr(message, name)
        return exact_moment(at) if at else ""

    return fact


# These columns show times as the timeline does.
for _name in TIME_FIELDS:
    setattr(MessageColumns, f"{_name}_fact", _time_fact(_name))
