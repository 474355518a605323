"""Export messages as CSV, streamed, and safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Count, QuerySet, Sum
from django.http import HttpRequest, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..clock import local_time
from ..models import Message
from ..states import State
from .actions.question import named_countries
from .actions.views import DeedAdmin
from .formatting import money
from .frame import framed
from .permissions import HIDDEN, Viewer

MOST_EXPORTED = 100_000
ROWS_AT_ONCE = 500
CONFIRMED = "confirmed"

BYTE_ORDER_MARK = "\ufeff"
"""Without it Excel takes UTF-8 for the alphabet of the machine."""

# What a spreadsheet takes for the beginning of a formula, in the wide forms of East Asia too.
_begins_formula = re.compile(r"\s*[=+\-@＝＋－＠]|[\t\r\n]").match
# A number in E.164 computes nothing, and must be the same when it is read again.
_is_number = re.compile(r"\+[0-9]{7,15}").fullmatch

PLAIN = (
    "reference",
    "created_at",
    "state",
    "country",
    "sender",
    "encoding",
    "segments",
    "tag",
    "alias",
    "dry_run",
    "provider_id",
    "sent_at",
    "delivered_at",
    "created_by",
)
CONTENT = ("recipient", "body")
KEYS = ("key",)
COSTS = ("price", "total_price", "penalty")
ERRORS = ("error", "error_code", "error_status")


class Echo:
    """What `csv` writes to: it hands each line on."""

    def write(self, line: str) -> str:
        """Return the line."""
        return line


class ExportAdmin(DeedAdmin):
    """The action that asks, and then answers with a file."""

    def has_export_permission(self, request: HttpRequest) -> bool:
        """Whether the user may take messages away in a file."""
        return self.may(request, "export")

    @admin.action(permissions=["export"], description=_("Export selected messages as CSV"))
    def export_selected(
        self, request: HttpRequest, queryset: QuerySet[Any]
    ) -> StreamingHttpResponse | TemplateResponse | None:
        """Count what was selected and ask; answer the confirmed question with the file."""
        if queryset.order_by()[: MOST_EXPORTED + 1].count() > MOST_EXPORTED:
            text = gettext("At most %d messages can be exported at once: choose a shorter period.")
            self.message_user(request, text % MOST_EXPORTED, messages.ERROR)
            return None
        viewer = Viewer.of(request)
        if CONFIRMED in request.POST:
            return _file(queryset[:MOST_EXPORTED], viewer)
        sums = _sums(queryset)
        return framed(
            self,
            request,
            "message/export.html",
            title=_("Export these messages?"),
            checkbox_name=ACTION_CHECKBOX_NAME,
            chosen=request.POST.getlist(ACTION_CHECKBOX_NAME),
            select_across=request.POST.get("select_across", "0"),
            viewer=viewer,
            **sums | {"cost": money(sums["cost"])},
        )


def columns(viewer: Viewer) -> tuple[str, ...]:
    """Return the names of the columns; of who may not see content, two are there and masked."""
    costs = COSTS if viewer.sees_costs else ()
    keys = KEYS if viewer.sees_content else ()
    return (*PLAIN[:2], *CONTENT, *PLAIN[2:], *keys, *costs, *ERRORS)


def lines(rows: QuerySet[Any], viewer: Viewer) -> Iterator[str]:
    """Yield the file, some lines at a time."""
    names = columns(viewer)
    writer = csv.writer(Echo())
    yield BYTE_ORDER_MARK + writer.writerow(names)
    messages_in_turn = rows.select_related("created_by").iterator(chunk_size=ROWS_AT_ONCE)
    while some := list(islice(messages_in_turn, ROWS_AT_ONCE)):
        yield "".join(
            writer.writerow([safe(_value(message, name, viewer)) for name in names])
            for message in some
        )


def safe(text: str) -> str:
    """Return a cell that no spreadsheet computes: what begins a formula gets an apostrophe."""
    if _begins_formula(text) and not _is_number(text) and not _is_amount(text):
        return "'" + text
    return text


def _is_amount(text: str) -> bool:
    return bool(re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text))


def _value(message: Message, name: str, viewer: Viewer) -> str:
    if name in CONTENT and not viewer.sees_content:
        return HIDDEN
    if name == "error_code" and not viewer.may_read_error(message):
        return HIDDEN
    value = getattr(message, name)
    if value is None:
        return ""
    if isinstance(value, datetime):
        return local_time(value).isoformat(timespec="seconds")
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _sums(rows: QuerySet[Any]) -> dict[str, Any]:
    """Return the counts of a confirmation."""
    counted = (
        rows.order_by("country")
        .values_list("country", "state")
        .annotate(count=Count("pk"), parts=Sum("segments"), cost=Sum("total_price"))
    )
    countries: Counter[str] = Counter()
    sums: dict[str, Any] = {"count": 0, "segments": 0, "delivered": 0, "cost": Decimal(0)}
    for country, state, count, parts, cost in counted:
        countries[country] += count
        sums["count"] += count
        sums["segments"] += parts or 0
        sums["delivered"] += count if state == State.DELIVERED else 0
        sums["cost"] += cost or 0
    return sums | {"countries": named_countries(countries)}


def _file(rows: QuerySet[Any], viewer: Viewer) -> StreamingHttpResponse:
    name = f"messages-{timezone.now():%Y-%m-%d}.csv"
    answer = StreamingHttpResponse(lines(rows, viewer), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    answer["Cache-Control"] = "no-store"
    return answer
