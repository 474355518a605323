"""The ModelAdmin of callbacks."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from ..models import Callback, Message
from ..models.viewer import Viewer
from .base import ReadOnlyAdmin
from .filters import OutcomeFilter, ReceivedFilter
from .formatting import badge, link_url, moment, pretty
from .search import find, reference_begins

MOST_MESSAGES = 500
"""A search by number finds the callbacks of only the newest messages, at most this many."""


@admin.register(Callback)
class CallbackAdmin(ReadOnlyAdmin):
    """Browse callbacks and the results of look-ups at the gateway, and read their payloads."""

    list_display = ("received", "state_badge", "outcome", "source", "of_message", "count")
    list_filter = (ReceivedFilter, OutcomeFilter)
    search_fields = ("reference",)  # shows the box; get_search_results() decides what it finds
    search_help_text = _(
        "A reference, or at least its first four characters. "
        "With the permission to see numbers, you can also search for a number or its last digits."
    )
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
        """Defer the payloads, because only the change view reads them."""
        return super().get_queryset(request).defer("payload")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search by the beginning of a reference and, if the user may see numbers, by number."""
        if not search_term.strip():
            return queryset, False
        like = reference_begins(search_term, queryset) or Q(pk__in=())
        if Viewer.of(request).sees_content:
            # With a subquery beside another condition, databases would read the whole table.
            found = find(Message.objects.all(), search_term, exact=False).rows.order_by("-pk")
            like |= Q(message__in=list(found.values_list("pk", flat=True)[:MOST_MESSAGES]))
        return queryset.filter(like), False

    def get_change_context(self, request: HttpRequest, row: Callback) -> dict[str, Any]:
        return {"payload": pretty(Viewer.of(request).payload(row.payload))}

    @admin.display(description=_("received"))
    def received(self, callback: Callback) -> SafeString:
        return moment(callback.received_at)

    @admin.display(description=_("state"))
    def state_badge(self, callback: Callback) -> SafeString | str:
        return badge(callback.state) if callback.state else ""

    @admin.display(description=_("message"))
    def of_message(self, callback: Callback) -> SafeString | str:
        """Return the reference, as a link if the message has a page in this admin site."""
        row = callback.message_id
        url = row and link_url(self.admin_site.name, Message, "change", row)
        if not url:
            return str(callback.reference)
        return format_html('<a href="{}">{}</a>', url, callback.reference)

    @admin.display(description=_("times received"))
    def count(self, callback: Callback) -> int:
        return callback.times
