"""The ModelAdmin of batches: the recent mass sends, and how far each of them is."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Min, Q, QuerySet, Sum
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ..models import Batch, Message, Suspension
from ..models.suspension import STOPPED
from ..models.viewer import HIDDEN, Viewer
from ..states import State
from .base import NewestFirst, ReadOnlyAdmin
from .columns import excerpt_of, without_lone_alias
from .formatting import link_url, money, short_moment
from .search import as_reference

WAITING = frozenset({State.QUEUED, State.SENDING})
GONE_WRONG = frozenset({State.FAILED, State.UNKNOWN})
NEVER_SENT = frozenset({State.CANCELLED, State.VALIDATED})


@dataclass
class Figures:
    """The counts of the messages of a batch.

    Attributes:
        first: the first message, for the text.
    """

    states: Counter[str] = field(default_factory=Counter)
    cost: Decimal = Decimal(0)
    first: Message | None = None
    is_stopped: bool = False

    def count(self, states: Iterable[str]) -> int:
        return sum(self.states[state] for state in states)

    @property
    def waiting(self) -> int:
        return self.count(WAITING)

    @property
    def sent(self) -> int:
        return self.states.total() - self.count(WAITING | GONE_WRONG | NEVER_SENT)

    def in_words(self, size: int) -> SafeString:
        """Return how many messages were sent, failed and wait, as text with badges."""
        sent = gettext("%(sent)d of %(size)d sent") % {"sent": self.sent, "size": size}
        said = format_html("{}", sent)
        if wrong := self.count(GONE_WRONG):
            mark = '{} <span class="smsww-badge smsww-warn">{}</span>'
            said = format_html(mark, said, gettext("%d failed or unknown") % wrong)
        if self.waiting:
            waits = ngettext("%d waits", "%d wait", self.waiting) % self.waiting
            said = format_html('{} <span class="smsww-mark">{}</span>', said, waits)
        if self.is_stopped:
            said = format_html('{} <span class="smsww-mark">{}</span>', said, gettext("stopped"))
        return said


class WithFigures(NewestFirst):
    """Adds the figures to the batches of the shown page, with three queries."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows: list[Any] = list(self.result_list)
        figures = figures_of(row.reference for row in rows)
        for row in rows:
            row.figures = figures[row.reference]
        self.result_list = rows


def figures_of(references: Iterable[UUID]) -> dict[UUID, Figures]:
    """Return the figures of these batches."""
    names, figures = list(references), defaultdict[UUID, Figures](Figures)
    firsts: dict[UUID, int] = {}
    groups: Any = Message.objects.filter(batch__in=names).order_by().values("batch", "state")
    for group in groups.annotate(count=Count("pk"), paid=Sum("total_price"), begun=Min("pk")):
        one = figures[group["batch"]]
        one.states[group["state"]] += group["count"]
        one.cost += group["paid"] or 0
        firsts[group["batch"]] = min(group["begun"], firsts.get(group["batch"], group["begun"]))
    rows = Message.objects.only("batch", "body", "scrubbed").in_bulk(list(firsts.values()))
    for name, primary_key in firsts.items():
        figures[name].first = rows.get(primary_key)
    for name in stopped(names):
        figures[name].is_stopped = True
    return figures


def stopped(references: Iterable[UUID]) -> set[UUID]:
    """Return those of these batches that somebody stopped."""
    scopes = {f"batch:{name}": name for name in references}
    stops = Suspension.objects.filter(scope__in=scopes, error_code=STOPPED)
    return {scopes[scope] for scope in stops.values_list("scope", flat=True)}


@admin.register(Batch)
class BatchAdmin(ReadOnlyAdmin):
    """The list of batches. Each row links to the batch's page, which `MessageAdmin` serves."""

    list_display = ("created", "progress", "excerpt", "tag", "alias", "sent_by", "cost")
    list_select_related = ("created_by",)
    search_fields = ("reference",)  # shows the box; get_search_results() decides what it finds
    search_help_text = _("The id of a batch, or a tag.")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let users see batches if they may see messages."""
        return request.user.has_perm("django_smsww.view_message")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return WithFigures

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        """Leave out the alias if there is only one, and columns that the viewer may not see."""
        viewer = Viewer.of(request)
        masked = {} if viewer.sees_content else {"excerpt": "hidden_text"}
        names = [masked.get(name, name) for name in without_lone_alias(self.list_display)]
        return tuple(name for name in names if name != "cost" or viewer.sees_costs)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        typed = search_term.strip()
        reference = as_reference(typed)
        named = Q(reference=reference) if reference else Q(tag=typed)
        return queryset.filter(named) if typed else queryset, False

    def change_view(
        self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Lead to the page of the batch."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            batch = get_object_or_404(self.get_queryset(request), pk=unquote(object_id))
        except ValueError:
            raise Http404 from None
        url = link_url(self.admin_site.name, Message, "batch", batch.reference)
        return HttpResponseRedirect(url or self.view_url("changelist"))

    @admin.display(description=_("created"))
    def created(self, batch: Batch) -> SafeString:
        return short_moment(batch.created_at)

    @admin.display(description=_("progress"))
    def progress(self, batch: Any) -> SafeString:
        """Return how many have been sent, how many were not, and whether somebody stopped it."""
        figures: Figures = batch.figures
        return figures.in_words(batch.size)

    @admin.display(description=_("text"))
    def excerpt(self, batch: Any) -> str | SafeString:
        first: Message | None = batch.figures.first
        return excerpt_of(first) if first else ""

    @admin.display(description=_("text"))
    def hidden_text(self, batch: Any) -> str:
        return HIDDEN

    @admin.display(description=_("created by"))
    def sent_by(self, batch: Batch) -> str:
        return str(batch.created_by or _("program"))

    @admin.display(description=_("cost"))
    def cost(self, batch: Any) -> str:
        return money(batch.figures.cost)
