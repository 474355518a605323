"""What is held back at present, and why; pause sending, and resume it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q, QuerySet, Sum
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..backends.handler import sms_backends
from ..exceptions import AccountBlocklisted, ContentRefused, InvalidSMSBackend, error_kind
from ..models import Message, Suspension
from .base import HistoryAdmin
from .formatting import error_name
from .frame import framed
from .search import as_reference

LONGEST_REASON = 255


class PauseForm(forms.Form):
    alias = forms.ChoiceField(label=_("Alias"))
    reason = forms.CharField(
        label=_("Reason"),
        max_length=LONGEST_REASON,
        required=False,
        help_text=_("For those who wonder why nothing leaves."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["alias"].choices = [(alias, alias) for alias in sms_backends]  # type: ignore[attr-defined]


@admin.register(Suspension)
class SuspensionAdmin(HistoryAdmin):
    """Look at the suspensions; they are few. Sending imposes and lifts them, and so may staff."""

    list_display = ("alias", "environment", "held", "error_fact", "reason", "until", "created_at")
    fields = (*list_display, "times", "created_by")

    @admin.display(description=_("held back"))
    def held(self, suspension: Suspension) -> str:
        """Return what is held back, without the fingerprint of a text."""
        return suspension.held

    @admin.display(description=_("error"))
    def error_fact(self, suspension: Suspension) -> str:
        """Return in words which error imposed it."""
        return error_name(suspension.error)

    def has_pause_permission(self, request: HttpRequest) -> bool:
        """Whether the user may pause and resume sending."""
        permitted = request.user.has_perm("django_smsww.pause_message")
        return permitted and self.has_view_permission(request)

    def get_urls(self) -> list[Any]:
        """Add the pages; the admin's wrapper logs in, and checks the CSRF token."""
        wrap = self.admin_site.admin_view
        name = "django_smsww_suspension"
        own = [
            path("pause/", wrap(self.pause), name=f"{name}_pause"),
            path("<int:object_id>/resume/", wrap(self.resume), name=f"{name}_resume"),
        ]
        return own + super().get_urls()

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """Offer to pause sending."""
        context = {"may_pause": self.has_pause_permission(request)} | (extra_context or {})
        return super().changelist_view(request, context)

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        """Offer to resume."""
        context["may_resume"] = self.has_pause_permission(request) and not obj.is_stop
        return super().render_change_form(request, context, add, change, form_url, obj)

    def pause(self, request: HttpRequest) -> HttpResponse:
        """Ask what to hold back, and on POST do so."""
        if not self.has_pause_permission(request):
            raise PermissionDenied
        form = PauseForm(request.POST if request.method == "POST" else None)
        if form.is_valid() and self._pause(request, form):
            return self._back()
        title = _("Pause sending")
        waiting = _waiting().values("alias").order_by("alias").annotate(**_sums())
        return framed(
            self, request, "suspension/pause.html", form=form, title=title, waiting=waiting
        )

    def _pause(self, request: HttpRequest, form: PauseForm) -> bool:
        alias, reason = form.cleaned_data["alias"], form.cleaned_data["reason"]
        try:
            environment = sms_backends[alias].environment
        except InvalidSMSBackend:
            form.add_error("alias", gettext("It cannot be used as it is configured now."))
            return False
        row = Suspension.objects.pause(alias, environment, reason=reason, by=request.user)
        self.log_addition(request, row, "Paused.")
        self.message_user(request, gettext("Nothing is sent through “%s” now.") % alias)
        return True

    def resume(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Ask whether to lift a suspension, and on POST do so."""
        if not self.has_pause_permission(request):
            raise PermissionDenied
        suspension: Suspension | None = self.get_object(request, str(object_id))
        if suspension is None:
            raise Http404
        if suspension.is_stop:
            text = _("It was stopped for good: what waited is cancelled.")
            self.message_user(request, text, messages.WARNING)
            return self._back()
        if request.method == "POST":
            return self._resume(request, suspension)
        return framed(
            self,
            request,
            "suspension/resume.html",
            original=suspension,
            title=_("Resume sending?"),
            held=self.held(suspension),
            warning=_warning(suspension),
            **_held_back(suspension).aggregate(**_sums()),
        )

    def _resume(self, request: HttpRequest, row: Suspension) -> HttpResponse:
        if Suspension.objects.resume(row.alias, row.environment, scope=row.scope):
            self.log_change(request, row, "Resumed.")
        self.message_user(request, gettext("Sending through “%s” goes on.") % row.alias)
        return self._back()

    def _back(self) -> HttpResponseRedirect:
        name = "admin:django_smsww_suspension_changelist"
        return HttpResponseRedirect(reverse(name, current_app=self.admin_site.name))


def paused() -> list[Suspension]:
    """Return what holds back all of an alias at this moment."""
    return list(Suspension.objects.active(timezone.now()).filter(scope="alias").order_by("alias"))


def _warning(suspension: Suspension) -> Any:
    if not suspension.error:
        return ""
    kind = error_kind(suspension.error)
    if issubclass(kind, ContentRefused):
        return _("The gateway refused this text: sent again it may cost a fine for each message.")
    if issubclass(kind, AccountBlocklisted):
        return _("The gateway blocked the account: ask its support to lift that first.")
    return ""


def _waiting() -> QuerySet[Message]:
    return Message.objects.queued()


def _sums() -> dict[str, Any]:
    return {"count": Count("pk"), "segment_sum": Sum("segments")}


def _held_back(suspension: Suspension) -> QuerySet[Message]:
    kind, _colon, name = suspension.scope.partition(":")
    scope = {"batch": Q(batch=as_reference(name)), "text": Q(fingerprint=name)}.get(kind, Q())
    rows = Message.objects.queued().of(suspension.alias, suspension.environment)
    return rows.filter(scope)
