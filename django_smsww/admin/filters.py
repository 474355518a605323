"""Filters of fixed choices: offering them reads no table."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..backends.handler import sms_backends
from ..clock import local_time, midnight
from ..reconcile.session import OVERDUE
from ..states import State

NEEDS_ATTENTION = (State.UNKNOWN, State.FAILED)
DAYS = {"today": 0, "7": 7, "30": 30}


class ChoiceFilter(admin.SimpleListFilter):
    """A filter that refuses any value but its own."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Narrow the list down, if a value was chosen."""
        value = self.value()
        if value is None:
            return queryset
        if value not in {str(choice) for choice, _label in self.lookup_choices}:
            raise IncorrectLookupParameters(f"{self.parameter_name} has no such choice")
        return self.narrow(queryset, value)

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        """Return the rows that this choice stands for."""
        raise NotImplementedError

    @classmethod
    def names(cls) -> set[str]:
        """Return the parameters that it reads."""
        return {str(cls.parameter_name)}


class StateFilter(ChoiceFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[Any, Any]]:
        return State.choices

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        return queryset.filter(state=value)


class AttentionFilter(ChoiceFilter):
    title = _("needs attention")
    parameter_name = "attention"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[Any, Any]]:
        return [("yes", _("Failed, unknown or overdue")), ("overdue", _("Overdue"))]

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        late = overdue(timezone.now())
        return queryset.filter(late if value == "overdue" else late | Q(state__in=NEEDS_ATTENTION))


class AliasFilter(ChoiceFilter):
    title = _("alias")
    parameter_name = "alias"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[Any, Any]]:
        return [(alias, alias) for alias in sms_backends]

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        return queryset.filter(alias=value)


class DryRunFilter(ChoiceFilter):
    title = _("dry run")
    parameter_name = "dry_run"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[Any, Any]]:
        return [("no", _("No")), ("yes", _("Yes"))]

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        return queryset.filter(dry_run=value == "yes")


class PeriodFilter(ChoiceFilter):
    """By ranges of one indexed column, where `date_hierarchy` reads the whole of it."""

    title = _("period")
    parameter_name = "period"
    field = "created_at"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[Any, Any]]:
        return [("today", _("Today")), ("7", _("Past 7 days")), ("30", _("Past 30 days"))]

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        return queryset.filter(**{f"{self.field}__gte": start_of_day(DAYS[value])})


class ReceivedFilter(PeriodFilter):
    field = "received_at"


def overdue(now: datetime) -> Q:
    """Return the condition that the gateway should have said long ago what became of a row."""
    long_ago = now - OVERDUE
    left = Q(claimed_at__lt=long_ago) | Q(claimed_at=None, created_at__lt=long_ago)
    return Q(state__in=(State.NEW, State.PENDING)) & left


def start_of_day(days_ago: int) -> datetime:
    """Return midnight in the current time zone, aware or naive as the project's times are."""
    today = local_time(timezone.now()).date()
    return midnight(today - timedelta(days=days_ago))
