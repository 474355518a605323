"""The ModelAdmin of the do-not-send list."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from ..backends.handler import region_of
from ..exceptions import InvalidSMS
from ..models import Suppression
from ..models.viewer import HIDDEN, Viewer
from ..numbers import read_number
from .base import ReadOnlyAdmin
from .formatting import phone_number, short_moment
from .search import as_number


class SuppressionForm(forms.ModelForm):
    """The form of an entry, which accepts any usual spelling of a number, and stores E.164."""

    class Meta:
        model = Suppression
        fields = ("recipient", "reason")
        help_texts = {
            "recipient": _("With the plus sign and the country code, such as +393331234567."),
        }

    def clean_recipient(self) -> str:
        try:
            return read_number(self.cleaned_data["recipient"], region_of())
        except InvalidSMS as error:
            raise ValidationError(error.explain(), code="invalid") from None


@admin.register(Suppression)
class SuppressionAdmin(ReadOnlyAdmin):
    """Add and delete numbers of the do-not-send list. Entries cannot be changed."""

    form = SuppressionForm
    list_select_related = ("created_by",)
    # On a small screen, the list has no room for the column "entry".
    list_display_links = ("entry", "number", "hidden_number")
    search_help_text = _("A complete number, with its country code.")

    # Unlike for the history, Django's own permissions decide.
    has_add_permission = admin.ModelAdmin.has_add_permission  # type: ignore[assignment]
    has_delete_permission = admin.ModelAdmin.has_delete_permission

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        return ("entry", *_shown(request), "since", "added_by")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Return the inputs for a new entry.

        For a stored entry, return the fields that the user may see.
        """
        if obj is None:
            return ("recipient", "reason")
        return (*_shown(request), "since", "added_by")

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        """Hide the search box from users who may not see numbers."""
        return ("recipient",) if Viewer.of(request).sees_content else ()

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Suppression], search_term: str
    ) -> tuple[QuerySet[Suppression], bool]:
        """Find the entry with the typed number, which must be complete."""
        if not search_term.strip() or not Viewer.of(request).sees_content:
            return queryset, False
        return queryset.filter(recipient=as_number(search_term)), False

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Show number and reason on the confirmation page, if the user may see numbers."""
        names, *others = super().get_deleted_objects(objs, request)
        if Viewer.of(request).sees_content:
            entries = iter(objs)  # `names` also has lists of related rows
            names = [
                name if isinstance(name, list) else _with_number(name, next(entries))
                for name in names
            ]
        return (names, *others)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        obj.created_by = request.user
        super().save_model(request, obj, form, change)

    @admin.display(description=_("entry"))
    def entry(self, suppression: Suppression) -> str:
        """Return the name of the entry, which does not reveal the number."""
        return str(suppression)

    @admin.display(description=_("recipient"))
    def number(self, suppression: Suppression) -> SafeString:
        return phone_number(suppression.recipient)

    @admin.display(description=_("recipient"))
    def hidden_number(self, suppression: Suppression) -> str:
        return HIDDEN

    @admin.display(description=_("since"))
    def since(self, suppression: Suppression) -> SafeString:
        return short_moment(suppression.created_at)

    @admin.display(description=_("by"))
    def added_by(self, suppression: Suppression) -> str:
        return str(suppression.created_by or "")


def _with_number(name: str, entry: Suppression) -> SafeString:
    return format_html("{}: {} {}", name, phone_number(entry.recipient), entry.reason)


def _shown(request: HttpRequest) -> tuple[str, ...]:
    # The reason may name a person.
    return ("number", "reason") if Viewer.of(request).sees_content else ("hidden_number",)
