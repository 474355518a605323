"""The action "export": count the selected messages, ask for confirmation, and return the file."""

from decimal import Decimal
from importlib.util import find_spec
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Count, Max, QuerySet, Sum
from django.http import HttpRequest, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..models.viewer import Viewer
from ..states import State
from .base import ReadOnlyAdmin
from .batch_page import countries_of
from .export_files import answer
from .formatting import money

MOST_EXPORTED = 100_000
MOST_IN_XLSX = 20_000
"""An XLSX file has at most this many messages: writing 2,000 of them takes about one second."""

CONFIRMED, XLSX = "confirmed", "xlsx"


@admin.action(permissions=["export"], description=_("Export selected messages"))
def export_selected(
    model_admin: ReadOnlyAdmin, request: HttpRequest, queryset: QuerySet[Any]
) -> StreamingHttpResponse | TemplateResponse | None:
    """Count the selected messages and ask for confirmation. After confirmation, return the file."""
    count = queryset.order_by()[: MOST_EXPORTED + 1].count()
    if count > MOST_EXPORTED:
        text = gettext("At most %d messages can be exported at once: choose a shorter period.")
        model_admin.message_user(request, text % MOST_EXPORTED, messages.ERROR)
        return None
    has_xlsx = count <= MOST_IN_XLSX and find_spec("openpyxl") is not None
    if CONFIRMED in request.POST:
        return answer(request, queryset[:MOST_EXPORTED], xlsx=has_xlsx and XLSX in request.POST)
    return model_admin.render_page(
        request,
        "message/export.html",
        title=_("Export these messages?"),
        checkbox_name=ACTION_CHECKBOX_NAME,
        chosen=request.POST.getlist(ACTION_CHECKBOX_NAME),
        select_across=request.POST.get("select_across", "0"),
        viewer=Viewer.of(request),
        has_xlsx=has_xlsx,
        **_counts(queryset),
    )


def _counts(rows: QuerySet[Any]) -> dict[str, Any]:
    groups = list(
        rows.order_by("country")
        .values("country", "state")
        .annotate(
            count=Count("pk"),
            parts=Sum("segments"),
            cost=Sum("total_price"),
            newest=Max("pk"),
        )
    )
    return {
        "count": sum(each["count"] for each in groups),
        "segments": sum(each["parts"] or 0 for each in groups),
        "delivered": sum(each["count"] for each in groups if each["state"] == State.DELIVERED),
        "cost": money(sum((each["cost"] or Decimal(0) for each in groups), Decimal(0))),
        "countries": countries_of(rows, groups),
    }
