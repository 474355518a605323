"""The filters of the changelists.

Users type tags, countries and dates, because a list of all values would need a table scan.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.apps import apps
from django.contrib.admin import ListFilter, SimpleListFilter
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import PAGE_VAR
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from ..clock import local_time, midnight
from ..models import Message, Outcome
from ..models.origin import Origin
from ..reconcile.session import OVERDUE
from ..states import UNDELIVERED, State
from .formatting import alias_choices
from .search import as_reference

NEEDS_ATTENTION = (State.UNKNOWN, State.FAILED)
DAYS = {"today": 0, "7": 7, "30": 30}
LONGEST_TEXT_SEARCH = timedelta(days=31)


class ChoiceFilter(SimpleListFilter):
    """A filter with fixed choices. Any other value raises IncorrectLookupParameters."""

    offered: tuple[tuple[str, str | Promise], ...] = ()

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[Any, Any]]:
        return self.offered

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value is None:
            return queryset
        if value not in {str(choice) for choice, _label in self.lookup_choices}:
            raise IncorrectLookupParameters(f"{self.parameter_name} has no such choice")
        return self.narrow(queryset, value)

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        return queryset.filter(**{str(self.parameter_name): value})

    @classmethod
    def names(cls) -> set[str]:
        return {str(cls.parameter_name)}


class StateFilter(ChoiceFilter):
    title = _("state")
    parameter_name = "state"
    offered = (*State.choices, ("undelivered", _("Failed or not delivered")))

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        if value == "undelivered":
            return queryset.filter(state__in=UNDELIVERED)
        return super().narrow(queryset, value)


class AttentionFilter(ChoiceFilter):
    title = _("needs attention")
    parameter_name = "attention"
    offered = (("yes", _("Failed, unknown or overdue")), ("overdue", _("Overdue")))

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        condition = overdue if value == "overdue" else needs_attention
        return queryset.filter(condition(timezone.now()))


class AliasFilter(ChoiceFilter):
    title = _("alias")
    parameter_name = "alias"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[Any, Any]]:
        return alias_choices()


class DryRunFilter(ChoiceFilter):
    title = _("dry run")
    parameter_name = "dry_run"
    offered = (("no", _("No")), ("yes", _("Yes")))

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        return queryset.filter(dry_run=value == "yes")


class OriginFilter(ChoiceFilter):
    title = _("origin")
    parameter_name = "origin"
    offered = tuple(Origin.choices)


class PeriodFilter(ChoiceFilter):
    """Filter by a period, such as the past 7 days, on one indexed column.

    Django's `date_hierarchy` is not used, because it would read the whole column.
    """

    title = _("period")
    parameter_name = "period"
    offered = (("today", _("Today")), ("7", _("Past 7 days")), ("30", _("Past 30 days")))
    column = "created_at"  # `field` would be a model's field to django-grappelli

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        return queryset.filter(**{f"{self.column}__gte": start_of_day(DAYS[value])})


class ReceivedFilter(PeriodFilter):
    column = "received_at"


class OutcomeFilter(ChoiceFilter):
    title = _("outcome")
    parameter_name = "outcome"
    offered = tuple(Outcome.choices)


@dataclass(frozen=True, slots=True)
class Box:
    """An HTML input of a `TypedFilter`, with its type (`kind`) and its maximum length (`most`)."""

    name: str
    label: str | Promise
    kind: str = "text"
    most: int = 64


class TypedFilter(ListFilter):
    """A filter with inputs into which users type. Each input sets one parameter of the URL."""

    template = "admin/django_smsww/typed_filter.html"
    boxes: tuple[Box, ...] = ()

    def __init__(
        self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any
    ) -> None:
        super().__init__(request, params, model, model_admin)
        popped = {name: params.pop(name, [""])[-1].strip() for name in self.names()}
        if any("\0" in value for value in popped.values()):  # PostgreSQL refuses such texts
            raise IncorrectLookupParameters
        self.typed = {name: value for name, value in popped.items() if value}
        self.used_parameters |= self.typed

    def has_output(self) -> bool:
        return True

    def expected_parameters(self) -> list[str | None]:
        return [box.name for box in self.boxes]

    @classmethod
    def names(cls) -> set[str]:
        return {box.name for box in cls.boxes}

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Yield the template context of the form. `others` are the other parameters of the URL."""
        own = {*self.names(), PAGE_VAR}
        yield {
            "boxes": [(box, self.typed.get(box.name, "")) for box in self.boxes],
            "others": [(name, v) for name, v in changelist.params.items() if name not in own],
            "without": changelist.get_query_string(dict.fromkeys(own)),
            "is_used": bool(self.typed),
            "is_in_form": _is_in_form(changelist.model_admin),
        }

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return self.narrow(queryset) if self.typed else queryset

    def narrow(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(**self.typed)


def _is_in_form(model_admin: Any) -> bool:
    """Whether the admin's theme puts all filters into one form.

    In such a theme, a typed filter has no form of its own, because HTML forbids nested forms.
    """
    submits = getattr(model_admin, "list_filter_submit", False)  # an option of django-unfold
    return submits or apps.is_installed("jazzmin")


class TagFilter(TypedFilter):
    title = _("tag")
    boxes = (Box("tag", _("Tag")),)


class CountryFilter(TypedFilter):
    title = _("country")
    boxes = (Box("country", _("Country, such as IT"), most=2),)

    def narrow(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(country=self.typed["country"].upper())


class BatchFilter(TypedFilter):
    """Filter by batch. The filter is shown only if the URL contains the parameter `batch`."""

    title = _("batch")
    boxes = (Box("batch", _("Batch"), most=36),)

    def has_output(self) -> bool:
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


FILTERS = (
    StateFilter,
    AttentionFilter,
    PeriodFilter,
    DatesFilter,
    TagFilter,
    CountryFilter,
    DryRunFilter,
    OriginFilter,
    AliasFilter,
)
"""The filters of messages, in the order in which the page shows them."""


def overdue(now: datetime) -> Q:
    """Return the condition for messages that were sent long ago, but have no final state yet."""
    long_ago = now - OVERDUE
    left = Q(claimed_at__lt=long_ago) | Q(claimed_at=None, created_at__lt=long_ago)
    return Q(state__in=(State.NEW, State.PENDING), origin=Origin.HERE) & left


def needs_attention(now: datetime) -> Q:
    """Return the condition for overdue, FAILED and UNKNOWN messages that nobody has resent."""
    # Without the second condition, PostgreSQL may compare with all messages instead of resends.
    resends = Message.objects.filter(resend_of=OuterRef("pk"), resend_of__isnull=False)
    return (overdue(now) | Q(state__in=NEEDS_ATTENTION)) & ~Q(Exists(resends))


def chosen_dates(parameters: Any) -> tuple[date | None, date | None]:
    return as_date(parameters.get("since", "")), as_date(parameters.get("until", ""))


def as_date(typed: str) -> date | None:
    """Parse the value of an HTML date input; return None for an empty value.

    Raise IncorrectLookupParameters if the value is not a date of the years 1970 to 9998.
    """
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
    """Whether the chosen period is short enough for a search in message texts."""
    if parameters.get("period"):
        return True
    first, last = chosen_dates(parameters)
    return first is not None and (last or today()) - first < LONGEST_TEXT_SEARCH


def start_of_day(days_ago: int) -> datetime:
    return midnight(today() - timedelta(days=days_ago))


def today() -> date:
    """Return today's date in the current time zone."""
    return local_time(timezone.now()).date()
