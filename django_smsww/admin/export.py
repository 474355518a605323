"""Export messages as a CSV file: streamed, and safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import re
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
from .base import ReadOnlyAdmin
from .batch import count_by
from .formatting import money, named_countries
from .permissions import HIDDEN, Viewer

MOST_EXPORTED = 100_000
ROWS_AT_ONCE = 500
CONFIRMED = "confirmed"

BYTE_ORDER_MARK = "\ufeff"
"""Without it Excel reads UTF-8 as the code page of the machine."""

# The characters that begin a formula in a spreadsheet, also in the wide forms of East Asia.
_begins_formula = re.compile(r"\s*[=+\-@＝＋－＠]|[\t\r\n]").match
# A number in E.164 or an amount computes nothing, and must survive a round trip.
_is_number = re.compile(r"\+[0-9]{7,15}|-?[0-9]+(\.[0-9]+)?").fullmatch

COLUMNS = (
    "reference",
    "created_at",
    "recipient",
    "body",
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
    "key",
    "price",
    "total_price",
    "penalty",
    "error",
    "error_code",
    "error_status",
)
MASKED = ("recipient", "body")
COSTS = ("price", "total_price", "penalty")


@admin.action(permissions=["export"], description=_("Export selected messages as CSV"))
def export_selected(
    model_admin: ReadOnlyAdmin, request: HttpRequest, queryset: QuerySet[Any]
) -> StreamingHttpResponse | TemplateResponse | None:
    """Count the selected messages and ask; answer the confirmed form with the file."""
    if queryset.order_by()[: MOST_EXPORTED + 1].count() > MOST_EXPORTED:
        text = gettext("At most %d messages can be exported at once: choose a shorter period.")
        model_admin.message_user(request, text % MOST_EXPORTED, messages.ERROR)
        return None
    viewer = Viewer.of(request)
    if CONFIRMED in request.POST:
        return _file(queryset[:MOST_EXPORTED], viewer)
    return model_admin.render_page(
        request,
        "message/export.html",
        title=_("Export these messages?"),
        checkbox_name=ACTION_CHECKBOX_NAME,
        chosen=request.POST.getlist(ACTION_CHECKBOX_NAME),
        select_across=request.POST.get("select_across", "0"),
        viewer=viewer,
        **_counts(queryset),
    )


def _counts(rows: QuerySet[Any]) -> dict[str, Any]:
    groups = list(
        rows.order_by("country")
        .values("country", "state")
        .annotate(count=Count("pk"), parts=Sum("segments"), cost=Sum("total_price"))
    )
    countries = count_by(groups, "country")
    return {
        "count": countries.total(),
        "segments": sum(each["parts"] or 0 for each in groups),
        "delivered": sum(each["count"] for each in groups if each["state"] == State.DELIVERED),
        "cost": money(sum((each["cost"] or Decimal(0) for each in groups), Decimal(0))),
        "countries": named_countries(countries),
    }


def _file(rows: QuerySet[Any], viewer: Viewer) -> StreamingHttpResponse:
    name = f"messages-{timezone.now():%Y-%m-%d}.csv"
    response = StreamingHttpResponse(lines(rows, viewer), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    return response


class Echo:
    """A file for `csv` that returns each line instead of writing it."""

    def write(self, line: str) -> str:
        return line


def columns(viewer: Viewer) -> list[str]:
    """Return the columns; number and text are there for every viewer, and masked for some."""
    secret = {*(() if viewer.sees_content else ("key",)), *(() if viewer.sees_costs else COSTS)}
    return [name for name in COLUMNS if name not in secret]


def lines(rows: QuerySet[Any], viewer: Viewer) -> Iterator[str]:
    """Yield the file, several lines at a time."""
    names = columns(viewer)
    writer = csv.writer(Echo())
    yield BYTE_ORDER_MARK + writer.writerow(names)
    # Not iterator(): its server-side cursor is lost behind PgBouncer when the transaction ends.
    primary_keys = iter(list(rows.values_list("pk", flat=True)))
    every = Message.objects.using(rows.db).select_related("created_by")
    while some := list(islice(primary_keys, ROWS_AT_ONCE)):
        found = every.in_bulk(some)
        yield "".join(
            writer.writerow([safe(_value(found[key], name, viewer)) for name in names])
            for key in some
            if key in found
        )


def safe(text: str) -> str:
    """Return a cell that no spreadsheet computes: put an apostrophe before a formula."""
    if _begins_formula(text) and not _is_number(text):
        return "'" + text
    return text


def _value(message: Message, name: str, viewer: Viewer) -> str:
    if name in MASKED and not viewer.sees_content:
        return HIDDEN
    if name == "error_code" and not viewer.may_read_error(message):
        return HIDDEN
    value = getattr(message, name)
    if value is None:
        return ""
    if isinstance(value, datetime):
        return local_time(value).isoformat(timespec="seconds")
    return f"{value:f}" if isinstance(value, Decimal) else str(value)
