"""The list of messages, and the page of one."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from ..models import Message
from .actions.views import DEEDS, as_action
from .base import CappedPaginator
from .batch import BatchAdmin
from .columns import MessageColumns, fact_groups, list_columns
from .compose.views import ComposeAdmin
from .export import ExportAdmin
from .filters import (
    AliasFilter,
    AttentionFilter,
    BatchFilter,
    CountryFilter,
    DatesFilter,
    DryRunFilter,
    PeriodFilter,
    StateFilter,
    TagFilter,
    is_short_period,
)
from .formatting import error_name
from .page import message_page
from .permissions import Viewer
from .search import find
from .statistics.views import StatisticsAdmin
from .suspension import paused


@admin.register(Message)
class MessageAdmin(MessageColumns, ComposeAdmin, BatchAdmin, ExportAdmin, StatisticsAdmin):
    """Browse the messages, and do with one of them, or some, what may be done."""

    list_filter = (
        StateFilter,
        AttentionFilter,
        PeriodFilter,
        DatesFilter,
        TagFilter,
        CountryFilter,
        DryRunFilter,
        AliasFilter,
        BatchFilter,
    )
    list_select_related = ("created_by",)
    search_fields = ("recipient",)  # shows the box; what it finds is up to get_search_results()
    search_help_text = _(
        "A number or its last digits, a reference, a provider id or a key; "
        "with a period of up to 31 days also a part of the text."
    )
    actions = (*(as_action(deed) for deed in DEEDS), "export_selected")
    save_on_top = False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """Say above the list what is held back."""
        context = banner(request) | {"may_send": self.has_send_permission(request)}
        return super().changelist_view(request, context | (extra_context or {}))

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        """Show what the user may see."""
        return list_columns(Viewer.of(request))

    def get_list_display_links(self, request: HttpRequest, list_display: Any) -> tuple[str, ...]:
        """Link the time and the number to the page."""
        return tuple(list_display[:2])

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find by number and by exact names, and within a period by a part of the text."""
        exact = not Viewer.of(request).sees_content
        texts = is_short_period(request.GET)
        found = find(queryset, search_term, exact=exact, texts=texts)  # type: ignore[arg-type]
        request.smsww_found = found.count  # type: ignore[attr-defined]
        return found.rows, False

    def get_paginator(self, request: HttpRequest, *args: Any, **kwargs: Any) -> CappedPaginator:
        """Page through what was found, without counting it once more."""
        paginator = CappedPaginator(*args, **kwargs)
        paginator.known = getattr(request, "smsww_found", None)
        return paginator

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show the facts that are known and that the user may see."""
        return fact_groups(obj, Viewer.of(request)) if obj else []

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        """Add what stands above and below the facts."""
        context |= message_page(obj, Viewer.of(request), self.admin_site.name)
        context |= banner(request) | {"buttons": self.buttons(request, obj)}
        return super().render_change_form(request, context, add, change, form_url, obj)


def banner(request: HttpRequest) -> dict[str, Any]:
    """Return what holds back everything of an alias, and whether the user may lift it."""
    may_pause = request.user.has_perms(
        ["django_smsww.pause_message", "django_smsww.view_suspension"]
    )
    return {"paused": [(row, error_name(row.error)) for row in paused()], "may_pause": may_pause}
