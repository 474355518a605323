"""The ModelAdmin of batches: a list of mass sends with their progress, and a page for each."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..models import Batch, Message
from ..models.viewer import HIDDEN, Viewer
from .base import NewestFirst, ReadOnlyAdmin
from .batch_figures import Figures, figures_of
from .batch_page import batch_view, stop_view
from .columns import excerpt_of, without_lone_alias
from .formatting import money, short_moment
from .search import as_reference


class WithFigures(NewestFirst):
    """A changelist that adds `figures` to all batches on the page, with three queries in total."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows: list[Any] = list(self.result_list)
        figures = figures_of(row.reference for row in rows)
        for row in rows:
            row.figures = figures[row.reference]
        self.result_list = rows


@admin.register(Batch)
class BatchAdmin(ReadOnlyAdmin):
    """The list of batches, and a page for each batch."""

    list_display = ("created", "progress", "excerpt", "tags", "alias", "sent_by", "cost")
    list_select_related = ("created_by",)
    search_fields = ("reference",)  # shows the box; get_search_results() decides what it finds
    search_help_text = _("The id of a batch, or a tag that all its messages have.")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("django_smsww.view_message")

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        """Whether the user may both view and cancel messages. Such a user may also stop batches."""
        may_cancel = request.user.has_perm("django_smsww.cancel_message")
        return may_cancel and self.has_view_permission(request)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_urls(self) -> list[Any]:
        """Add the pages of batches. Their URLs contain the UUID of the batch."""
        page, stop = self.wrap_view(batch_view), self.wrap_view(stop_view, "cancel")
        urls = [
            path("<uuid:batch>/", page, name="django_smsww_batch_page"),
            path("<uuid:batch>/stop/", stop, name="django_smsww_batch_stop"),
        ]
        return urls + super().get_urls()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return WithFigures

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        """Return the columns for this user, without "alias" if the settings have only one alias."""
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
        """Redirect to the page of the batch."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            batch = get_object_or_404(self.get_queryset(request), pk=unquote(object_id))
        except ValueError:
            raise Http404 from None
        return HttpResponseRedirect(self.view_url("page", batch.reference))

    @admin.display(description=_("created"))
    def created(self, batch: Batch) -> SafeString:
        return short_moment(batch.created_at)

    @admin.display(description=_("progress"))
    def progress(self, batch: Any) -> SafeString:
        figures: Figures = batch.figures
        return figures.in_words(batch.size)

    @admin.display(description=_("text"))
    def excerpt(self, batch: Any) -> str | SafeString:
        first: Message | None = batch.figures.first
        return excerpt_of(first) if first else ""

    @admin.display(description=_("text"))
    def hidden_text(self, batch: Any) -> str:
        return HIDDEN

    @admin.display(description=_("tag"))
    def tags(self, batch: Any) -> str:
        return gettext("several") if len(batch.figures.tags) > 1 else batch.tag

    @admin.display(description=_("created by"))
    def sent_by(self, batch: Batch) -> str:
        return str(batch.created_by or _("program"))

    @admin.display(description=_("cost"))
    def cost(self, batch: Any) -> str:
        return money(batch.figures.cost)
