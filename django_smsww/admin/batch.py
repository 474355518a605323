"""The page of a mass send: how far it is, what came of it, and a button that stops it."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import router
from django.db.models import Count, Max, Min, Sum
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.translation import gettext, ngettext

from ..limits import stop_batch
from ..models import Message, MessageQuerySet, Suspension
from ..models.limits import STOPPED
from ..states import UNFINISHED, State
from .display import badge, error_name, money
from .doing import DeedAdmin
from .frame import framed
from .question import named_countries
from .viewer import Viewer

WAITING = frozenset({State.QUEUED, State.SENDING})
MOST_REASONS = 50


class BatchAdmin(DeedAdmin):
    """One page to look at, and one that asks whether to stop."""

    def get_urls(self) -> list[Any]:
        """Add the pages."""
        wrap, name = self.admin_site.admin_view, "django_smsww_message_batch"
        own = [
            path("batch/<uuid:batch>/", wrap(self.batch), name=name),
            path("batch/<uuid:batch>/stop/", wrap(self.stop), name=f"{name}_stop"),
        ]
        return own + super().get_urls()

    def batch(self, request: HttpRequest, batch: UUID) -> HttpResponse:
        """Show how far a batch is."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        progress = _progress(_rows(batch), Viewer.of(request))
        is_stopped = Suspension.objects.filter(scope=f"batch:{batch}", error_code=STOPPED).exists()
        return framed(
            self,
            request,
            "batch/page.html",
            title=gettext("Batch"),
            batch=batch,
            is_stopped=is_stopped,
            may_stop=self.may(request, "cancel") and progress["waiting"] and not is_stopped,
            **progress,
        )

    def stop(self, request: HttpRequest, batch: UUID) -> HttpResponse:
        """Ask whether to give up what waits of a batch, and on POST do so."""
        if not self.may(request, "cancel"):
            raise PermissionDenied
        rows = _rows(batch)
        if request.method == "POST":
            return self._stop(request, batch, rows)
        waiting = rows.queued().aggregate(count=Count("pk"), segment_sum=Sum("segments"))
        title = gettext("Stop this batch?")
        return framed(self, request, "batch/stop.html", title=title, batch=batch, **waiting)

    def _stop(self, request: HttpRequest, batch: UUID, rows: MessageQuerySet) -> HttpResponse:
        reason = request.POST.get("reason", "").strip()[:255]
        using = router.db_for_write(Message)
        parts = rows.order_by().values_list("alias", "environment").distinct()
        count = sum(
            stop_batch(alias, environment, batch, using=using, by=request.user, reason=reason)
            for alias, environment in list(parts)
        )
        text = ngettext("%d message was cancelled.", "%d messages were cancelled.", count) % count
        self.message_user(request, text, messages.SUCCESS)
        self.log_change(request, rows[0], f"Stopped the batch {batch}.")
        name = "admin:django_smsww_message_batch"
        return HttpResponseRedirect(reverse(name, args=(batch,), current_app=self.admin_site.name))


def _rows(batch: UUID) -> MessageQuerySet:
    rows: MessageQuerySet = Message.objects.filter(batch=batch)
    if not rows.exists():
        raise Http404
    return rows


def _progress(rows: MessageQuerySet, viewer: Viewer) -> dict[str, Any]:
    """Return the counts of a batch, from one reading of its rows for each."""
    states = dict(rows.order_by().values_list("state").annotate(count=Count("pk")))
    countries = dict(rows.order_by().values_list("country").annotate(count=Count("pk")))
    sums = rows.aggregate(
        segments=Sum("segments"),
        paid=Sum("total_price"),
        fined=Sum("penalty"),
        begun=Min("created_at"),
        moved=Max("updated_at"),
    )
    total = sum(states.values())
    waiting = sum(states.get(state, 0) for state in WAITING)
    cost = money(sums["paid"] or Decimal(0)) if viewer.sees_costs else ""
    fined = money(sums["fined"]) if viewer.sees_costs else ""
    return {
        "states": [(badge(state), states[state]) for state in State if state in states],
        "countries": named_countries(Counter(countries)),
        "reasons": _reasons(rows),
        "total": total,
        "waiting": waiting,
        "gone": total - waiting,
        "unfinished": sum(states.get(state, 0) for state in UNFINISHED),
        "segments": sums["segments"] or 0,
        "begun": sums["begun"],
        "moved": sums["moved"],
        "cost": cost,
        "fined": fined,
    }


def _reasons(rows: MessageQuerySet) -> list[tuple[str, str, int]]:
    """Return what went wrong, how it is called, and how often; the most frequent first."""
    failed = rows.exclude(error="").order_by().values_list("error", "error_code")
    counted = failed.annotate(count=Count("pk")).order_by("-count", "error", "error_code")
    return [(error_name(error), code, count) for error, code, count in counted[:MOST_REASONS]]
