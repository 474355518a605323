"""The ModelAdmin of messages: the changelist, the change view, and the URLs of further pages."""

from functools import partialmethod
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.urls import path
from django.utils.translation import gettext_lazy as _

from ..models import Callback, Message
from ..models.viewer import HIDDEN, Viewer
from ..states import State
from .actions.resend_all import resend_all
from .actions.views import ACTIONS, action_view, admin_action, offers, selected_action_view
from .advice import advise, pauses
from .base import CappedPaginator, NewestFirst, ReadOnlyAdmin
from .batch_figures import stops_of
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
from .export import export_selected
from .filters import FILTERS, BatchFilter, is_short_period
from .formatting import badge, pretty, recipient_of
from .search import as_number, find
from .statistics.views import statistics_view
from .suspension import banner
from .text import MarkedText
from .timeline import timeline


class WithResends(NewestFirst):
    """A changelist that also looks up resends, pauses and stopped batches for its messages."""

    def get_results(self, request: HttpRequest) -> None:
        # Not in get_queryset(): an export would look for the resend of each of its messages.
        # Not by Exists(): PostgreSQL would read all resends that there are.
        resend = Message.objects.filter(resend_of=OuterRef("pk")).values("state")
        ours = {"alias": OuterRef("alias"), "environment": OuterRef("environment")}
        paused = Exists(pauses().filter(**ours))
        self.queryset = self.queryset.annotate(resent_state=Subquery(resend), in_pause=paused)
        super().get_results(request)
        if request.method != "POST":  # an action reads its own rows
            self._mark_stopped()

    def _mark_stopped(self) -> None:
        rows: list[Any] = list(self.result_list)
        stops = stops_of({row.batch for row in rows if row.batch and row.state == State.QUEUED})
        stopped = {(stop.batch, stop.alias, stop.environment) for stop in stops}
        for row in rows:
            row.in_stop = (str(row.batch), row.alias, row.environment) in stopped
        self.result_list = rows


@admin.register(Message)
class MessageAdmin(MessageColumns, ReadOnlyAdmin):
    """Browse the messages, and act on them.

    A subclass may set `list_display`, `list_filter`, `search_fields` and `actions` as in any
    ModelAdmin. Values that a user may not see stay hidden, even if `list_display` names their
    column. `search_fields` adds fields to the built-in search.
    """

    list_display = COLUMNS
    list_filter = FILTERS
    list_select_related = ("created_by",)
    search_fields = ("recipient",)  # shows the box; get_search_results() decides what it finds
    search_help_text = _(
        "A number or its last digits, a reference or its first eight characters, a provider id or "
        "a key. With the filter “period” (up to 31 days), you can also search for a part of the "
        "text."
    )
    actions = (*map(admin_action, ACTIONS), resend_all, export_selected)

    def has_message_permission(self, request: HttpRequest, name: str) -> bool:
        """Whether the user has the permission `{name}_message`, and may view messages."""
        permitted = request.user.has_perm(f"django_smsww.{name}_message")
        return permitted and self.has_view_permission(request)

    has_send_permission = partialmethod(has_message_permission, name="send")
    has_resend_permission = partialmethod(has_message_permission, name="resend")
    has_refresh_permission = partialmethod(has_message_permission, name="refresh")
    has_cancel_permission = partialmethod(has_message_permission, name="cancel")
    has_settle_permission = partialmethod(has_message_permission, name="settle")
    has_export_permission = partialmethod(has_message_permission, name="export")

    def has_resend_all_permission(self, request: HttpRequest) -> bool:
        """Whether the user may resend messages and send to many numbers."""
        may_resend = self.allows(request, "resend")
        return may_resend and request.user.has_perm("django_smsww.mass_send_message")

    def get_urls(self) -> list[Any]:
        """Put our own URLs before Django's URLs. Each of our pages checks a permission."""
        wrap, name = self.wrap_view, "django_smsww_message"
        urls = [
            path("statistics/", wrap(statistics_view), name=f"{name}_statistics"),
            path("compose/", wrap(compose_view, "send"), name=f"{name}_compose"),
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
        shown = getattr(answer, "context_data", None) or {}  # a redirect or a file has none
        if (changelist := shown.get("cl")) and changelist.query and not changelist.result_count:
            shown |= _search_note(Viewer.of(request), changelist, request.GET)
        return answer

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return WithResends

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        changelist = super().get_changelist_instance(request)
        is_ours = changelist.search_help_text == MessageAdmin.search_help_text
        if is_ours and not Viewer.of(request).sees_content:
            changelist.search_help_text = str(MASKED_SEARCH)
        return changelist

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        """Return the columns. Depending on the user, mask values and leave out prices."""
        columns: Any = self.list_display
        if columns is COLUMNS:
            columns = without_lone_alias(columns)
        return list_columns(columns, Viewer.of(request))

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        """Return the filters for this user, and `BatchFilter` for links from batch pages."""
        viewer = Viewer.of(request)
        shown = [one for one in super().get_list_filter(request) if not is_hidden(one, viewer)]
        return [*shown, BatchFilter]

    def get_list_display_links(self, request: HttpRequest, list_display: Any) -> tuple[str, ...]:
        """Return the columns that link to the change view: by default, the time and the number."""
        if self.list_display_links != ():
            return self.list_display_links  # type: ignore[return-value]
        return tuple(name for name in list_display if name in LINKED) or tuple(list_display[:1])

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search messages by number, reference, batch, provider id or key.

        If the chosen period is short and the user may see texts, also search in texts.
        """
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
        """Return the search fields that a subclass has added and that this user may search."""
        fields = [str(field) for field in self.get_search_fields(request)]
        return [one for one in fields if one != "recipient" and not is_hidden(one, viewer)]

    def get_paginator(self, request: HttpRequest, *args: Any, **kwargs: Any) -> CappedPaginator:
        """Return the paginator, with the number of rows if the search has counted them."""
        paginator = CappedPaginator(*args, **kwargs)
        paginator.known = getattr(request, "smsww_found", None)
        return paginator

    # The change view

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return fact_groups(self, obj, Viewer.of(request)) if obj else []

    def get_change_context(self, request: HttpRequest, row: Message) -> dict[str, Any]:
        content = _message_context(row, Viewer.of(request), self.admin_site.name)
        return content | banner(request) | offers(self, request, row)


MASKED_SEARCH = _(
    "You have no permission to see numbers and texts. Search for a complete number with its "
    "country code, a complete provider id or key, or the first eight characters of a reference."
)


def _search_note(viewer: Viewer, changelist: Any, parameters: Any) -> dict[str, Any]:
    """Return the template context for the hint after an empty search, or {} for no hint."""
    if not viewer.sees_content:
        return {"search_note": MASKED_SEARCH}
    if as_number(changelist.query) or is_short_period(parameters):
        return {}
    return {
        "search_note": _("A search for a part of a text needs a period of up to 31 days."),
        "with_period": changelist.get_query_string({"period": "30"}, ["since", "until"]),
    }


def _message_context(message: Message, viewer: Viewer, site: str) -> dict[str, Any]:
    """Return the template context for the parts of the change view outside its fieldsets."""
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
    """Return the gateway's newest answer, without the parts that the viewer may not see."""
    newest: Callback | None = message.callbacks.order_by("-last_received_at", "-pk").first()
    return pretty(viewer.payload(newest.payload)) if newest else ""
