"""What the gateway said, as it was stored."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from ..models import Callback, Message
from .base import HistoryAdmin
from .filters import ReceivedFilter
from .formatting import badge, moment, page_of, pretty
from .permissions import Viewer
from .search import as_reference


@admin.register(Callback)
class CallbackAdmin(HistoryAdmin):
    """Browse the callbacks and look-ups, and read their payloads."""

    list_display = ("received", "state_badge", "outcome_name", "source_name", "of_message", "count")
    list_filter = (ReceivedFilter,)
    search_fields = ("reference",)
    search_help_text = _("The complete reference of a message.")
    fields = (
        "received_at",
        "last_received_at",
        "times",
        "source",
        "outcome",
        "state_badge",
        "of_message",
        "provider_id",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Leave the payloads where they are; only a callback's own page reads one."""
        return super().get_queryset(request).defer("payload")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find by reference alone: it is what the index is on."""
        if not search_term.strip():
            return queryset, False
        reference = as_reference(search_term.strip())
        found = queryset.filter(reference=reference) if reference else queryset.none()
        return found, False

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        """Add the payload, as far as the user may see it."""
        context["payload"] = pretty(Viewer.of(request).payload(obj.payload))
        return super().render_change_form(request, context, add, change, form_url, obj)

    @admin.display(description=_("received"))
    def received(self, callback: Callback) -> SafeString:
        """Return when it came first."""
        return moment(callback.received_at)

    @admin.display(description=_("state"))
    def state_badge(self, callback: Callback) -> SafeString | str:
        """Return the provider's word."""
        return badge(callback.state) if callback.state else ""

    @admin.display(description=_("outcome"))
    def outcome_name(self, callback: Callback) -> str:
        """Return what it did to the message."""
        return callback.get_outcome_display()

    @admin.display(description=_("source"))
    def source_name(self, callback: Callback) -> str:
        """Return how it was heard."""
        return callback.get_source_display()

    @admin.display(description=_("message"))
    def of_message(self, callback: Callback) -> SafeString | str:
        """Return the message's reference, with a link where its row is here."""
        if callback.message_id is None:
            return str(callback.reference)
        page = page_of(Message, callback.message_id, self.admin_site.name)
        return format_html('<a href="{}">{}</a>', page, callback.reference)

    @admin.display(description=_("times"))
    def count(self, callback: Callback) -> int:
        """Return how often the same came."""
        return callback.times
