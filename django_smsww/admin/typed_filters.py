"""Filters whose value is typed: a list of all tags or countries would have to read the table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.contrib.admin import ListFilter
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import PAGE_VAR
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from ..clock import local_time, midnight
from .search import as_reference

LONGEST_TEXT_SEARCH = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class Box:
    """One input of a filter: the name of its parameter, its label, and what HTML makes of it."""

    name: str
    label: str | Promise
    kind: str = "text"
    most: int = 64


class TypedFilter(ListFilter):
    """A filter of one or more inputs, each a parameter of the list's address."""

    template = "admin/django_smsww/typed_filter.html"
    boxes: tuple[Box, ...] = ()

    def __init__(
        self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any
    ) -> None:
        super().__init__(request, params, model, model_admin)
        popped = {name: params.pop(name, [""])[-1].strip() for name in self.names()}
        if any("\0" in value for value in popped.values()):  # PostgreSQL would not compare it
            raise IncorrectLookupParameters
        self.typed = {name: value for name, value in popped.items() if value}
        self.used_parameters |= self.typed

    def has_output(self) -> bool:
        """It is always of use."""
        return True

    def expected_parameters(self) -> list[str | None]:
        """Return the parameters that it reads."""
        return [box.name for box in self.boxes]

    @classmethod
    def names(cls) -> set[str]:
        """Return the parameters that it reads."""
        return {box.name for box in cls.boxes}

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Yield what the form shows and sends along."""
        own = {*self.names(), PAGE_VAR}
        yield {
            "boxes": [(box, self.typed.get(box.name, "")) for box in self.boxes],
            "others": [(name, v) for name, v in changelist.params.items() if name not in own],
            "without": changelist.get_query_string(dict.fromkeys(own)),
            "is_used": bool(self.typed),
        }

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Narrow the list down, if anything was typed."""
        return self.narrow(queryset) if self.typed else queryset

    def narrow(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows that what was typed stands for."""
        raise NotImplementedError


class TagFilter(TypedFilter):
    title = _("tag")
    boxes = (Box("tag", _("Tag")),)

    def narrow(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(tag=self.typed["tag"])


class CountryFilter(TypedFilter):
    title = _("country")
    boxes = (Box("country", _("Country, such as IT"), most=2),)

    def narrow(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(country=self.typed["country"].upper())


class BatchFilter(TypedFilter):
    """The messages of one mass send; its page links here, so no input is shown until then."""

    title = _("batch")
    boxes = (Box("batch", _("Batch"), most=36),)

    def has_output(self) -> bool:
        """Only a link leads here."""
        return bool(self.typed)

    def narrow(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        batch = as_reference(self.typed["batch"])
        return queryset.filter(batch=batch) if batch else queryset.none()


class DatesFilter(TypedFilter):
    title = _("dates")
    boxes = (Box("since", _("From"), "date", 10), Box("until", _("To"), "date", 10))

    def narrow(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        first, last = chosen_dates(self.typed)
        if first:
            queryset = queryset.filter(created_at__gte=midnight(first))
        if last:
            queryset = queryset.filter(created_at__lt=midnight(last + timedelta(days=1)))
        return queryset


def chosen_dates(parameters: Any) -> tuple[date | None, date | None]:
    """Return the first and the last day that were typed."""
    return as_date(parameters.get("since", "")), as_date(parameters.get("until", ""))


def as_date(typed: str) -> date | None:
    """Return the day that was typed as HTML's date inputs write it."""
    if not typed.strip():
        return None
    try:
        day = date.fromisoformat(typed.strip())
    except ValueError:
        raise IncorrectLookupParameters("no date") from None
    if not 1970 <= day.year < 9999:
        raise IncorrectLookupParameters("no date of ours")
    return day


def is_short_period(parameters: Any) -> bool:
    """Whether the chosen period is short enough to look into the texts of all its messages."""
    if parameters.get("period"):
        return True
    first, last = chosen_dates(parameters)
    if first is None:
        return False
    today = local_time(timezone.now()).date()
    return (last or today) - first < LONGEST_TEXT_SEARCH
