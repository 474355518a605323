"""Filters of messages and of the do-not-send list. Each filter has an index: see docs/scale.md."""

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
    """Filters by a complete telephone number, in any spelling that `send_sms` accepts."""

    def filter(self, qs: QuerySet[Any], value: str) -> Any:
        try:
            number = read_number(value, region_of()) if value else value
        except InvalidSMS as error:
            raise ValidationError({self.field_name: [error.explain()]}) from None
        return super().filter(qs, number)


class TimesFilter(filters.IsoDateTimeFromToRangeFilter):
    """Filters by a period. Converts times to UTC: PostgreSQL refuses offsets of 16 hours and up."""

    def filter(self, qs: QuerySet[Any], value: slice | None) -> Any:
        return super().filter(qs, value and slice(_in_utc(value.start), _in_utc(value.stop)))


def _in_utc(at: datetime | None) -> datetime | None:
    try:
        return at and at.astimezone(UTC)
    except OverflowError:  # on the first or the last day that datetime knows
        return at and at.replace(tzinfo=UTC)


class HistoryFilterSet(filters.FilterSet):
    """Answers 403 if a user filters by a field that this user may not see."""

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
