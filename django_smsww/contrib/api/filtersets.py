"""The filters of messages. Each one has an index; docs/scale.md lists them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from django_filters import rest_framework as filters
from rest_framework.exceptions import PermissionDenied, ValidationError

from django_smsww.backends.handler import region_of
from django_smsww.exceptions import InvalidSMS
from django_smsww.models import Message, Suppression
from django_smsww.models.viewer import Viewer
from django_smsww.numbers import read_number


class NumberFilter(filters.CharFilter):
    """A complete number, in any spelling that a recipient may have."""

    def filter(self, qs: QuerySet[Any], value: str) -> Any:
        return super().filter(qs, _number(self.field_name, value) if value else value)


def _number(name: str, value: str) -> str:
    try:
        return read_number(value, region_of())
    except InvalidSMS as error:
        raise ValidationError({name: [error.explain()]}) from None


class TimesFilter(filters.IsoDateTimeFromToRangeFilter):
    """A period, in UTC: PostgreSQL refuses times whose offset is 16 hours or more."""

    def filter(self, qs: QuerySet[Any], value: slice | None) -> Any:
        return super().filter(qs, value and slice(_in_utc(value.start), _in_utc(value.stop)))


def _in_utc(at: datetime | None) -> datetime | None:
    try:
        return at and at.astimezone(UTC)
    except OverflowError:  # on the first or the last day of all
        return at and at.replace(tzinfo=UTC)


class HistoryFilterSet(filters.FilterSet):
    """Refuse a filter by a field that the user may not see: it would reveal the field."""

    def filter_queryset(self, queryset: QuerySet[Any]) -> Any:
        hidden = Viewer.of(self.request).hidden_fields
        for name, one in self.filters.items():
            if one.field_name in hidden and name in self.data:
                text = _("You may not filter by %(name)s, because you may not see it.")
                raise PermissionDenied(text % {"name": name})
        return super().filter_queryset(queryset)


class MessageFilterSet(HistoryFilterSet):
    recipient = NumberFilter()
    created_at = TimesFilter()

    class Meta:
        model = Message
        fields = ("state", "tag", "batch", "origin", "dry_run", "provider_id", "key")


class SuppressionFilterSet(HistoryFilterSet):
    recipient = NumberFilter()

    class Meta:
        model = Suppression
        fields = ()
