"""The ModelAdmin of messages: its changelist, its change view, and every address below them."""

from __future__ import annotations

from functools import partialmethod
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import path
from django.utils.translation import gettext_lazy as _

from ..models import Callback, Message
from ..models.viewer import HIDDEN, Viewer
from ..states import State
from .actions.resend_all import resend_all
from .actions.views import ACTIONS, action_view, admin_action, offers, selected_action_view
from .base import CappedPaginator, ReadOnlyAdmin
from .batch_page import batch_view, stop_view
from .columns import (
    COLUMNS,
    LINKED,
    MessageColumns,
    fact_groups,
    is_hidden,
    list_columns,
    without_lone_alias,
)
from .compose.views import compose_view
from .detail.advice import advise
from .detail.timeline import timeline
from .export import export_selected
from .filters import FILTERS, BatchFilter, is_short_period
from .formatting import badge, pretty, recipient_of
from .search import as_number, find
from .statistics.views import statistics_view
from .suspension import banner
from .text import MarkedText


@admin.register(Message)
class MessageAdmin(MessageColumns, ReadOnlyAdmin):
    """Browse the messages, and act on them.

    A subclass may set `list_display`, `list_filter`, `search_fields` and `actions` as in any
    ModelAdmin. Numbers, texts and prices in `list_display` stay masked for users without the
    permission to see them. The fields of `search_fields` are searched beside our own.
    """

    list_display = COLUMNS
    list_filter = FILTERS
    list_select_related = ("created_by",)
    search_fields = ("recipient",)  # shows the box; get_search_results() decides what it finds
    search_help_text = _(
        "A number or its last digits, a reference, a provider id or a key; "
        "with a period of up to 31 days also a part of the text."
    )
    actions = (*map(admin_action, ACTIONS), resend_all, export_selected)

    def has_message_permission(self, request: HttpRequest, name: str) -> bool:
        """Ask for the permission of this name, and for the one to view messages."""
        permitted = request.user.has_perm(f"django_smsww.{name}_message")
        return permitted and self.has_view_permission(request)

    has_send_permission = partialmethod(has_message_permission, name="send")
    has_resend_permission = partialmethod(has_message_permission, name="resend")
    has_refresh_permission = partialmethod(has_message_permission, name="refresh")
    has_cancel_permission = partialmethod(has_message_permission, name="cancel")
    has_settle_permission = partialmethod(has_message_permission, name="settle")
    has_export_permission = partialmethod(has_message_permission, name="export")

    def has_resend_all_permission(self, request: HttpRequest) -> bool:
        """Ask for the permission to resend, and for the one to send to many numbers."""
        may_resend = self.allows(request, "resend")
        return may_resend and request.user.has_perm("django_smsww.mass_send_message")

    def get_urls(self) -> list[Any]:
        """Put the pages of our own, each with its permission, before those of Django."""
        wrap, name = self.wrap_view, "django_smsww_message"
        urls = [
            path("statistics/", wrap(statistics_view), name=f"{name}_statistics"),
            path("compose/", wrap(compose_view, "send"), name=f"{name}_compose"),
            path("batch/<uuid:batch>/", wrap(batch_view), name=f"{name}_batch"),
            path("batch/<uuid:batch>/stop/", wrap(stop_view, "cancel"), name=f"{name}_batch_stop"),
        ]
        for action in ACTIONS:
            one, selected = (wrap(v, action.name) for v in (action_view, selected_action_view))
            which = {"action": action}
            urls += [
                path(f"<int:object_id>/{action.name}/", one, which, f"{name}_{action.name}"),
                path(f"{action.name}/", selected, which, f"{name}_{action.name}_selected"),
            ]
        return urls + super().get_urls()

    # The changelist

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        context = banner(request) | {"may_send": self.allows(request, "send")}
        answer = super().changelist_view(request, context | (extra_context or {}))
        shown = getattr(answer, "context_data", None) or {}  # none for the page of an action
        if (changelist := shown.get("cl")) and changelist.query and not changelist.result_count:
            shown |= _search_note(Viewer.of(request), changelist, request.GET)
        return answer

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        """Leave out the alias if there is only one, and columns that the viewer may not see."""
        columns: Any = self.list_display
        if columns is COLUMNS:
            columns = without_lone_alias(columns)
        return list_columns(columns, Viewer.of(request))

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        """Leave out filters by hidden values, and add the one that the page of a batch links to."""
        viewer = Viewer.of(request)
        shown = [one for one in super().get_list_filter(request) if not is_hidden(one, viewer)]
        return [*shown, BatchFilter]

    def get_list_display_links(self, request: HttpRequest, list_display: Any) -> tuple[str, ...]:
        """Link the time and the number to the change view, or the columns of a subclass."""
        if self.list_display_links != ():
            return self.list_display_links  # type: ignore[return-value]
        return tuple(name for name in list_display if name in LINKED) or tuple(list_display[:1])

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find numbers and exact names, and within a period parts of the text."""
        viewer, texts = Viewer.of(request), is_short_period(request.GET)
        rows: Any = queryset
        found = find(rows, search_term, exact=not viewer.sees_content, texts=texts)
        if not (others := self._other_search_fields(request, viewer)) or not search_term.strip():
            request.smsww_found = found.count  # type: ignore[attr-defined]
            return found.rows, False
        plain: Any = admin.ModelAdmin(self.model, self.admin_site)
        plain.search_fields = others
        more, _repeats = plain.get_search_results(request, queryset, search_term)
        return found.rows | rows.filter(pk__in=more.values("pk")), False

    def _other_search_fields(self, request: HttpRequest, viewer: Viewer) -> list[str]:
        """Return the search fields of a subclass that this viewer may search."""
        fields = [str(field) for field in self.get_search_fields(request)]
        return [one for one in fields if one != "recipient" and not is_hidden(one, viewer)]

    def get_paginator(self, request: HttpRequest, *args: Any, **kwargs: Any) -> CappedPaginator:
        """Tell the paginator the count of the search, so that it does not count again."""
        paginator = CappedPaginator(*args, **kwargs)
        paginator.known = getattr(request, "smsww_found", None)
        return paginator

    # The change view

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return fact_groups(self, obj, Viewer.of(request)) if obj else []

    def get_change_context(self, request: HttpRequest, row: Message) -> dict[str, Any]:
        """Return the text as on a phone, the advice, the timeline and the buttons."""
        content = _message_context(row, Viewer.of(request), self.admin_site.name)
        return content | banner(request) | offers(self, request, row)


def _search_note(viewer: Viewer, changelist: Any, parameters: Any) -> dict[str, Any]:
    """Return why a search that found nothing may have missed what the user looks for."""
    if not viewer.sees_content:
        note = _(
            "You may not see numbers and texts. So type in a complete number with its country "
            "code, reference, provider id or key: a part of one finds nothing."
        )
        return {"search_note": note}
    if as_number(changelist.query) or is_short_period(parameters):
        return {}
    return {
        "search_note": _("A search for a part of a text needs a period of up to 31 days."),
        "with_period": changelist.get_query_string({"period": "30"}, ["since", "until"]),
    }


def _message_context(message: Message, viewer: Viewer, site: str) -> dict[str, Any]:
    """Return the parts of the change view that are no facts in fieldsets."""
    newer = getattr(message, "resent_as", None)
    return {
        "number": recipient_of(message, is_shown=viewer.sees_content),
        "text": MarkedText.of(message.body) if viewer.sees_content and message.body else None,
        "hidden": HIDDEN,
        "is_forgotten": message.scrubbed and not message.body,
        "is_from_elsewhere": message.is_from_elsewhere,
        "state_badge": badge(message.state),
        "tone": "warn" if message.state in (State.FAILED, State.UNKNOWN) else "plain",
        "resent_as": newer and {"row": newer, "badge": badge(newer.state)},
        "advice": advise(message),
        "timeline": timeline(message, viewer, site),
        "answer": _answer(message, viewer),
    }


def _answer(message: Message, viewer: Viewer) -> Any:
    """Return the gateway's newest answer, as far as the viewer may see it."""
    newest: Callback | None = message.callbacks.order_by("-last_received_at", "-pk").first()
    return pretty(viewer.payload(newest.payload)) if newest else ""
