"""The base class of the package's ModelAdmins: read-only lists, and additional pages."""

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any

from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.options import get_content_type_for_model
from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import FieldDoesNotExist, PermissionDenied
from django.core.paginator import Page, Paginator
from django.db import connections
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.functional import cached_property

from .formatting import admin_url

MOST_LISTED = 10_000


class CappedPaginator(Paginator):
    """A paginator of the newest 10,000 rows, so that a changelist does not count its whole table.

    Attributes:
        known: the number of rows if a search has already counted them, else None.
    """

    known: int | None = None

    @cached_property
    def count(self) -> int:
        return min(self._counted, MOST_LISTED)

    @property
    def is_capped(self) -> bool:
        """Whether there are more rows than the pages can show."""
        return self._counted > MOST_LISTED

    def page(self, number: int | str) -> Page[Any]:
        """Return a page of rows.

        If the page is in the second half of the list, and `is_capped` is False, read the rows
        backwards from the end, because this is faster. Otherwise, read only the keys of the rows
        before the page.
        """
        number = self.validate_number(number)
        first = (number - 1) * self.per_page
        last = min(first + self.per_page, self.count)
        if not first:
            return super().page(number)
        rows: Any = self.object_list
        if self.is_capped or first < self.count / 2:
            return Page(_with_keys(rows, rows.values("pk")[first:last]), number, self)
        nearest = list(rows.reverse()[self.count - last : self.count - first])
        return Page(nearest[::-1], number, self)

    @cached_property
    def _counted(self) -> int:
        if self.known is not None:
            return self.known
        # A count needs no order. With an order, the database would sort.
        rows: Any = self.object_list
        return rows.order_by()[: MOST_LISTED + 1].count()


def _with_keys(rows: Any, keys: Any) -> Any:
    """Return the rows whose keys are in the query `keys`. MariaDB needs two queries for this."""
    can_nest = connections[rows.db].features.allow_sliced_subqueries_with_in
    return rows.filter(pk__in=keys if can_nest else list(keys.values_list("pk", flat=True)))


class NewestFirst(ChangeList):
    """A changelist in the order of the primary key, with the newest rows first.

    Another order could need a table scan, or could reveal masked values.
    """

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        """Ignore the URL parameter `o`, which Django reads even if no column is sortable."""
        return ["-pk"]


def _belongs_to(declared: Any, lookup: str, opts: Any) -> bool:
    """Whether `declared`, an item of `list_filter`, can read the URL parameter `lookup`."""
    if isinstance(declared, type):
        if hasattr(declared, "names"):
            return lookup in declared.names()
        # A filter class may read many parameters, which only its instances know.
        known = getattr(declared, "parameter_name", None)
        return lookup == known or (known is None and not _is_column(lookup, opts))
    path = declared if isinstance(declared, str) else declared[0]
    return lookup == path or lookup.startswith(f"{path}__")


def _is_column(lookup: str, opts: Any) -> bool:
    name = lookup.partition("__")[0]
    with suppress(FieldDoesNotExist):
        return bool(opts.get_field(name))
    return name == "pk"


class ReadOnlyAdmin(admin.ModelAdmin):
    """A ModelAdmin that lets nobody add, change or delete rows, unless a subclass allows it."""

    list_per_page = 50
    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    sortable_by = ()
    ordering = ("-pk",)

    class Media:
        css = {"all": ["django_smsww/admin.css", "django_smsww/statistics.css"]}

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False, because only the package itself adds rows."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False, because nobody may edit the history."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False, because only the command `smsww_prune` deletes old rows."""
        return False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return NewestFirst

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Allow only declared filters. Other lookups, like `?body__regex=`, could reveal a text."""
        # Django allows every lookup of the model's own columns.
        filters: Any = self.get_list_filter(request) if request else self.list_filter
        declared = [*filters, *filter(None, [self.date_hierarchy])]
        is_declared = any(_belongs_to(one, lookup, self.opts) for one in declared)
        return is_declared and super().lookup_allowed(lookup, value, request)  # type: ignore[arg-type]

    def get_change_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """Return additional template context for the change view."""
        return {}

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        context |= self.get_change_context(request, kwargs["obj"])
        return super().render_change_form(request, context, *args, **kwargs)

    def allows(self, request: HttpRequest, permission: str) -> bool:
        """Return the result of the method `has_{permission}_permission()`."""
        return bool(getattr(self, f"has_{permission}_permission")(request))

    def wrap_view(self, view: Callable[..., HttpResponse], permission: str = "view") -> Any:
        """Wrap `view(model_admin, request, …)` for `get_urls()`, and check the permission.

        Before this check, the admin site asks for a login and checks the CSRF token.
        """

        @wraps(view)
        def permitted(request: HttpRequest, **kwargs: Any) -> HttpResponse:
            if not self.allows(request, permission):
                raise PermissionDenied
            return view(self, request, **kwargs)

        return self.admin_site.admin_view(permitted)

    def view_url(self, view: str, *args: Any) -> str:
        return admin_url(self.admin_site.name, self.model, view, *args)

    def filtered_url(self, request: HttpRequest, view: str, *args: Any) -> str:
        """Return the URL of a view, with the current filters of the changelist."""
        kept: Any = {"opts": self.opts, "preserved_filters": self.get_preserved_filters(request)}
        return add_preserved_filters(kept, self.view_url(view, *args))

    def redirect_to(self, request: HttpRequest, view: str, *args: Any) -> HttpResponseRedirect:
        return HttpResponseRedirect(self.filtered_url(request, view, *args))

    def log(
        self, request: HttpRequest, row: Model, deed: str, *, name: Any = "", flag: int = CHANGE
    ) -> None:
        """Log an action on a row in the admin's history.

        Args:
            deed: what the user did, in a few words.
            name: a name to show instead of the row's name, for example the UUID of a batch.
        """
        LogEntry.objects.create(
            user_id=request.user.pk,  # type: ignore[misc]
            content_type_id=get_content_type_for_model(row).pk,
            object_id=row.pk,
            object_repr=f"{deed} · {name or row}"[:200],
            action_flag=flag,
            change_message=deed,
        )

    def render_page(self, request: HttpRequest, template: str, **context: Any) -> TemplateResponse:
        """Render a template with the admin's header and breadcrumbs.

        The breadcrumbs show `title` and, if given, `original` (the row that the page is about).
        """
        request.current_app = self.admin_site.name
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "media": self.media,
            "preserved_filters": self.get_preserved_filters(request),
            **context,
        }
        return TemplateResponse(request, f"admin/django_smsww/{template}", context)
