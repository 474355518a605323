"""The ModelAdmin of suspensions: list them, pause an alias, and resume sending."""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.models import ADDITION
from django.db import router
from django.db.models import Count, Q, QuerySet, Sum, Value
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import path
from django.utils import timezone
from django.utils.formats import localize
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..backends.base import BaseSMSBackend
from ..backends.handler import sms_backends
from ..callbacks.refusals import UNREAD
from ..clock import local_time, rounded_up
from ..exceptions import (
    AccessRefused,
    AccountBlocklisted,
    ContentRefused,
    InvalidSMSBackend,
    error_kind,
)
from ..models import Batch, Heartbeat, Message, Suspension
from ..models.suspension import STOPPED, status_in
from ..models.viewer import Viewer
from ..operations.findings import RECENTLY
from ..worker.recovery import resume
from .advice import error_in_words, pauses
from .base import ReadOnlyAdmin
from .formatting import alias_choices, link_url, short_start
from .search import as_reference

LONGEST_REASON = 255
TEXT_REFUSED = _(
    "The gateway refused this text. If it is sent again, each message may cost a fine."
)
UNREAD_BEAT = f"refused:{UNREAD}"
SIZE = {"count": Count("pk"), "segment_sum": Sum("segments")}


class PauseForm(forms.Form):
    alias = forms.ChoiceField(label=_("Alias"), choices=alias_choices)
    reason = forms.CharField(
        label=_("Reason"),
        max_length=LONGEST_REASON,
        required=False,
        help_text=_("Shown to people who ask why nothing is sent."),
    )


@admin.register(Suspension)
class SuspensionAdmin(ReadOnlyAdmin):
    """Browse the suspensions.

    Users with the permission `pause_message` can also pause and resume sending.
    """

    list_display = ("alias", "environment", "held", "error_fact", "reason", "ends_at", "created_at")
    fields = (*list_display, "times", "failures", "is_probed", "created_by")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Suspension]:
        """Return the suspensions that stop messages.

        Rows that only count failures are left out. The permanent stop of a batch is also left out,
        because the page of the batch shows it. Other suspensions of batches stay in the list.
        """
        rows: QuerySet[Suspension] = super().get_queryset(request)
        return rows.filter(times__gt=0).exclude(error="", error_code=STOPPED)

    @admin.display(description=_("held back"))
    def held(self, suspension: Suspension) -> SafeString | str:
        """Return what the suspension stops: everything, one text, or one batch (as a link)."""
        kind, _colon, name = suspension.scope.partition(":")
        if kind != "batch":
            return suspension.held
        url = link_url(self.admin_site.name, Batch, "page", name)
        return format_html('{} <a href="{}">{}</a>', suspension.held, url, name)

    @admin.display(description=_("error"))
    def error_fact(self, suspension: Suspension) -> str:
        return _cause(suspension)

    @admin.display(description=_("until"), ordering="until")
    def ends_at(self, suspension: Suspension) -> str:
        until = suspension.until
        return localize(local_time(rounded_up(until))) if until else self.get_empty_value_display()

    def has_pause_permission(self, request: HttpRequest) -> bool:
        permitted = request.user.has_perm("django_smsww.pause_message")
        return permitted and self.has_view_permission(request)

    def get_urls(self) -> list[Any]:
        pause, resume = (self.wrap_view(view, "pause") for view in (pause_view, resume_view))
        return [
            path("pause/", pause, name="django_smsww_suspension_pause"),
            path("<int:object_id>/resume/", resume, name="django_smsww_suspension_resume"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        context = {"may_pause": self.has_pause_permission(request)} | (extra_context or {})
        return super().changelist_view(request, context)

    def get_change_context(self, request: HttpRequest, row: Suspension) -> dict[str, Any]:
        return {"may_resume": self.has_pause_permission(request)}


def pause_view(model_admin: ReadOnlyAdmin, request: HttpRequest) -> HttpResponse:
    """Ask which alias to pause. On POST, pause sending through this alias."""
    form = PauseForm(request.POST if request.method == "POST" else None)
    if form.is_valid() and _pause(model_admin, request, form):
        return model_admin.redirect_to(request, "changelist")
    return model_admin.render_page(
        request,
        "suspension/pause.html",
        form=form,
        title=_("Pause sending"),
        waiting=Message.objects.queued().values("alias").order_by("alias").annotate(**SIZE),
    )


def _pause(model_admin: ReadOnlyAdmin, request: HttpRequest, form: PauseForm) -> bool:
    alias, reason = form.cleaned_data["alias"], form.cleaned_data["reason"]
    try:
        environment = sms_backends[alias].environment
    except InvalidSMSBackend:
        form.add_error("alias", gettext("The alias cannot be used as it is configured now."))
        return False
    row = Suspension.objects.pause(alias, environment, reason=reason, by=request.user)
    model_admin.log(request, row, gettext("Paused"), flag=ADDITION)
    model_admin.message_user(request, gettext("Nothing is sent through “%s” now.") % alias)
    return True


def resume_view(model_admin: ReadOnlyAdmin, request: HttpRequest, object_id: int) -> HttpResponse:
    """Ask whether to lift a suspension. On POST, lift the suspension."""
    row: Suspension = get_object_or_404(model_admin.get_queryset(request), pk=object_id)
    if request.method != "POST":
        return model_admin.render_page(
            request,
            "suspension/resume.html",
            original=row,
            title=_("Resume sending?"),
            held=row.held,
            warning=_warning(row),
            **_held_back(row).aggregate(**SIZE),
        )
    using = router.db_for_write(Suspension)
    if resume(row.alias, row.environment, scope=row.scope, using=using):
        model_admin.log(request, row, gettext("Resumed"))
    model_admin.message_user(request, gettext("Sending through “%s” has resumed.") % row.alias)
    return model_admin.redirect_to(request, "changelist")


def suspension_of(
    backend: BaseSMSBackend, text: str, *, using: str, waits: bool
) -> Suspension | None:
    """Return the suspension that would make a message fail now, or None.

    Args:
        text: the fingerprint of the message's text.
        waits: True if the message goes into the queue. A queued message waits for the end of a
            suspension. The message fails only if the gateway has refused its text.
    """
    known = Suspension.objects.using(using).of(backend.alias, backend.environment)
    # A text comes before the alias, as in the worker: its suspension does not end by itself.
    for one in known.active(timezone.now()).order_by("-scope"):
        if one.covers(batch=None, text=text) and (not waits or is_text_refused(one)):
            return one
    return None


def is_text_refused(suspension: Suspension) -> bool:
    return issubclass(error_kind(suspension.error), ContentRefused)


def banner(request: HttpRequest) -> dict[str, Any]:
    """Return the template context of the banner about paused aliases.

    `paused` lists the pauses. `may_pause` is True if the user may begin and end pauses.
    `has_unread` is True if the user may see callbacks, and at least one callback of the past 24
    hours could not be understood.
    """
    rows = _paused_and_unread(timezone.now(), Viewer.of(request))
    paused = [
        (row, _cause(row), _sentence(row.reason), _ends(row.until))
        for row in rows
        if row.error != UNREAD_BEAT
    ]
    may_pause = request.user.has_perms(
        ["django_smsww.pause_message", "django_smsww.view_suspension"]
    )
    return {"paused": paused, "may_pause": may_pause, "has_unread": len(paused) < len(rows)}


def _paused_and_unread(now: datetime, viewer: Viewer) -> list[Any]:
    """Return the pauses, and a row for each environment that got unreadable callbacks lately.

    An unreadable callback is authentic, but reports a state that this package does not know.
    """
    rows: Any = pauses()
    columns = "pk", "alias", "error", "error_code", "reason", "until"
    rows = rows.values_list(*columns, named=True)
    if viewer.sees_callbacks:
        beats = Heartbeat.objects.filter(name=UNREAD_BEAT, beat_at__gt=now - RECENTLY)
        same = beats.values_list("pk", "environment", "name", Value(""), Value(""), "beat_at")
        rows = rows.union(same, all=True)
    return list(rows.order_by("alias"))


def _cause(row: Any) -> str:
    """Return the error that caused a suspension, in words."""
    return error_in_words(row.error, row.error_code, status_in(row.reason))


def _ends(until: datetime | None) -> SafeString | str:
    return short_start(until) if until else ""


def _sentence(reason: str) -> str:
    return f"{reason}." if reason and not reason.endswith((".", "!", "?", "…")) else reason


def _warning(suspension: Suspension) -> Any:
    if not suspension.error:
        return ""
    kind = error_kind(suspension.error)
    if is_text_refused(suspension):
        return TEXT_REFUSED
    if issubclass(kind, AccessRefused):
        return _("The gateway refused this site: check the token’s scopes, the host and its path.")
    if issubclass(kind, AccountBlocklisted):
        return _("The gateway blocked the account: first ask the gateway’s support to unblock it.")
    return ""


def _held_back(suspension: Suspension) -> QuerySet[Message]:
    kind, _colon, name = suspension.scope.partition(":")
    scope = {"batch": Q(batch=as_reference(name)), "text": Q(fingerprint=name)}.get(kind, Q())
    rows = Message.objects.queued().of(suspension.alias, suspension.environment)
    return rows.filter(scope)
