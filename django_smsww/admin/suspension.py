"""The ModelAdmin of suspensions: see them, pause sending, and resume it."""

from __future__ import annotations

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
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..backends.handler import sms_backends
from ..callbacks.refusals import UNREAD
from ..exceptions import (
    AccessRefused,
    AccountBlocklisted,
    ContentRefused,
    InvalidSMSBackend,
    error_kind,
)
from ..models import Heartbeat, Message, Suspension
from ..models.suspension import STOPPED
from ..models.viewer import Viewer
from ..operations.findings import RECENTLY
from ..worker.recovery import resume
from .base import ReadOnlyAdmin
from .formatting import alias_choices, error_name, link_url, short_moment
from .search import as_reference

LONGEST_REASON = 255
UNREAD_BEAT = f"refused:{UNREAD}"
SIZE = {"count": Count("pk"), "segment_sum": Sum("segments")}


class PauseForm(forms.Form):
    alias = forms.ChoiceField(label=_("Alias"), choices=alias_choices)
    reason = forms.CharField(
        label=_("Reason"),
        max_length=LONGEST_REASON,
        required=False,
        help_text=_("For those who wonder why nothing leaves."),
    )


@admin.register(Suspension)
class SuspensionAdmin(ReadOnlyAdmin):
    """Browse the suspensions, which are few. Sending imposes and lifts them, and so may staff."""

    list_display = ("alias", "environment", "held", "error_fact", "reason", "until", "created_at")
    fields = (*list_display, "times", "failures", "is_probed", "created_by")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Suspension]:
        """Return the suspensions that hold messages back.

        Left out are suspensions that only count failures so far, and batches that were stopped
        for good: no message of them waits, and their pages say so.
        """
        rows: QuerySet[Suspension] = super().get_queryset(request)
        return rows.filter(times__gt=0).exclude(error="", error_code=STOPPED)

    @admin.display(description=_("held back"))
    def held(self, suspension: Suspension) -> SafeString | str:
        """Return the scope: a batch with its link, a text without its fingerprint."""
        kind, _colon, name = suspension.scope.partition(":")
        if kind != "batch":
            return suspension.held
        url = link_url(self.admin_site.name, Message, "batch", name)
        return format_html('{} <a href="{}">{}</a>', suspension.held, url, name)

    @admin.display(description=_("error"))
    def error_fact(self, suspension: Suspension) -> str:
        return error_name(suspension.error)

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
        """Offer to resume."""
        return {"may_resume": self.has_pause_permission(request)}


def pause_view(model_admin: ReadOnlyAdmin, request: HttpRequest) -> HttpResponse:
    """Ask for an alias, and on POST pause sending through it."""
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
        form.add_error("alias", gettext("It cannot be used as it is configured now."))
        return False
    row = Suspension.objects.pause(alias, environment, reason=reason, by=request.user)
    model_admin.log(request, row, gettext("Paused"), flag=ADDITION)
    model_admin.message_user(request, gettext("Nothing is sent through “%s” now.") % alias)
    return True


def resume_view(model_admin: ReadOnlyAdmin, request: HttpRequest, object_id: int) -> HttpResponse:
    """Ask whether to lift a suspension, and on POST lift it."""
    row: Suspension = get_object_or_404(model_admin.get_queryset(request), pk=object_id)
    if request.method == "POST":
        using = router.db_for_write(Suspension)
        if resume(row.alias, row.environment, scope=row.scope, using=using):
            model_admin.log(request, row, gettext("Resumed"))
        model_admin.message_user(request, gettext("Sending through “%s” goes on.") % row.alias)
    else:
        return _ask_to_resume(model_admin, request, row)
    return model_admin.redirect_to(request, "changelist")


def _ask_to_resume(
    model_admin: ReadOnlyAdmin, request: HttpRequest, row: Suspension
) -> HttpResponse:
    return model_admin.render_page(
        request,
        "suspension/resume.html",
        original=row,
        title=_("Resume sending?"),
        held=row.held,
        warning=_warning(row),
        **_held_back(row).aggregate(**SIZE),
    )


def banner(request: HttpRequest) -> dict[str, Any]:
    """Return the active suspensions of whole aliases, and whether the user may lift them.

    Also return whether callbacks without a known state came in the last day.
    """
    rows = _paused_and_unread(timezone.now(), Viewer.of(request))
    paused = [
        (row, error_name(row.error), short_moment(row.until) if row.until else "")
        for row in rows
        if row.error != UNREAD_BEAT
    ]
    may_pause = request.user.has_perms(
        ["django_smsww.pause_message", "django_smsww.view_suspension"]
    )
    return {"paused": paused, "may_pause": may_pause, "has_unread": len(paused) < len(rows)}


def _paused_and_unread(now: datetime, viewer: Viewer) -> list[Any]:
    """Read suspensions and the heartbeat of unread callbacks, which every list shows, at once."""
    rows: Any = Suspension.objects.active(now).filter(scope="alias")
    rows = rows.values_list("pk", "alias", "error", "reason", "until", named=True)
    if viewer.sees_callbacks:
        beats = Heartbeat.objects.filter(name=UNREAD_BEAT, beat_at__gt=now - RECENTLY)
        same = beats.values_list("pk", "environment", "name", Value(""), "beat_at")
        rows = rows.union(same, all=True)
    return list(rows.order_by("alias"))


def _warning(suspension: Suspension) -> Any:
    if not suspension.error:
        return ""
    kind = error_kind(suspension.error)
    if issubclass(kind, ContentRefused):
        return _(
            "The gateway refused this text. If it is sent again, each message may cost a fine."
        )
    if issubclass(kind, AccessRefused):
        return _("The gateway refused this site: check the token’s scopes, the host and its path.")
    if issubclass(kind, AccountBlocklisted):
        return _("The gateway blocked the account: ask its support to lift that first.")
    return ""


def _held_back(suspension: Suspension) -> QuerySet[Message]:
    kind, _colon, name = suspension.scope.partition(":")
    scope = {"batch": Q(batch=as_reference(name)), "text": Q(fingerprint=name)}.get(kind, Q())
    rows = Message.objects.queued().of(suspension.alias, suspension.environment)
    return rows.filter(scope)
