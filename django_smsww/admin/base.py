"""What all pages of the history have in common: read-only, and quick with millions of rows."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

MOST_LISTED = 10_000


class CappedPaginator(Paginator):
    """Page through the newest 10,000 rows only, so that no list counts its whole table.

    Attributes:
        known: how many rows there are, where somebody had to count them already.
    """

    known: int | None = None

    @cached_property
    def count(self) -> int:
        """How many rows can be paged through."""
        return min(self._counted, MOST_LISTED)

    @property
    def is_capped(self) -> bool:
        """Whether there are more rows than can be paged through."""
        return self._counted > MOST_LISTED

    def page(self, number: int | str) -> Page[Any]:
        """Return a page; those of the far half are read from the end, which is nearer."""
        number = self.validate_number(number)
        first = (number - 1) * self.per_page
        if self.is_capped or first < self.count / 2:
            return super().page(number)
        rows: Any = self.object_list
        left = self.count - first
        nearest = list(rows.reverse()[max(0, left - self.per_page) : left])
        return Page(nearest[::-1], number, self)

    @cached_property
    def _counted(self) -> int:
        if self.known is not None:
            return self.known
        # The order is of no use to the count, and would have the database sort for it.
        rows: Any = self.object_list
        return rows.order_by()[: MOST_LISTED + 1].count()


class NewestFirst(ChangeList):
    """A list in the order of its primary key: any other could scan, or tell what is masked."""

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        """Ignore the `?o=` that the admin reads even where no column is sortable."""
        return ["-pk"]

    def get_ordering_field_columns(self) -> dict[int, Any]:
        """Mark no column as the one that is sorted by."""
        return {}


class HistoryAdmin(admin.ModelAdmin):
    """Rows that can be looked at, and that nobody adds, changes or deletes here."""

    list_per_page = 50
    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    sortable_by = ()
    ordering = ("-pk",)

    class Media:
        css = {"all": ["django_smsww/admin.css", "django_smsww/statistics.css"]}

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody may: rows are written by sending, and by the provider's callbacks."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody may: a history that can be edited is none."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody may: `smsww_prune` forgets what is old."""
        return False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the list that keeps its order."""
        return NewestFirst

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Allow the declared filters alone: `?body__regex=` would tell a text bit by bit."""
        filters: Any = self.list_filter
        return any(lookup in declared.names() for declared in filters)
