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

from ..models import Message, MessageQuerySet, Suspension
from ..models.suspension import STOPPED
from ..states import UNFINISHED, State
from ..worker.limits import stop_batch
from .actions.question import named_countries
from .actions.views import DeedAdmin
from .formatting import badge, error_name, money
from .frame import framed
from .permissions import Viewer

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
        progress = _progress(Message.objects.filter(batch=batch), Viewer.of(request))
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
    """Return the counts of a batch, from one reading of its rows."""
    groups = _groups(rows)
    if not groups:
        raise Http404
    states = _counted(groups, "state")
    waiting = sum(states[state] for state in WAITING)
    paid = sum((each["paid"] or Decimal(0) for each in groups), Decimal(0))
    fined = [each["fined"] for each in groups if each["fined"] is not None]
    return {
        "states": [(badge(state), states[state]) for state in State if state in states],
        "countries": named_countries(_counted(groups, "country")),
        "reasons": [
            (error_name(error), code, count)
            for (error, code), count in _reasons(groups)[:MOST_REASONS]
        ],
        "total": states.total(),
        "waiting": waiting,
        "gone": states.total() - waiting,
        "unfinished": sum(states[state] for state in UNFINISHED),
        "segments": sum(each["parts"] or 0 for each in groups),
        "begun": min(each["begun"] for each in groups),
        "moved": max(each["moved"] for each in groups),
        "cost": money(paid) if viewer.sees_costs else "",
        "fined": money(sum(fined, Decimal(0))) if fined and viewer.sees_costs else "",
    }


def _groups(rows: MessageQuerySet) -> list[dict[str, Any]]:
    # By all of them at once: for one alone, a database may walk through the index of that column,
    # and look at every message there is.
    groups = rows.order_by().values("state", "country", "error", "error_code")
    sums: Any = groups.annotate(
        count=Count("pk"),
        parts=Sum("segments"),
        paid=Sum("total_price"),
        fined=Sum("penalty"),
        begun=Min("created_at"),
        moved=Max("updated_at"),
    )
    return list(sums)


def _counted(groups: list[dict[str, Any]], name: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    for each in groups:
        counts[each[name]] += each["count"]
    return counts


def _reasons(groups: list[dict[str, Any]]) -> list[tuple[tuple[str, str], int]]:
    """Return what went wrong, and how often; the most frequent first."""
    counts: Counter[tuple[str, str]] = Counter()
    for each in groups:
        if each["error"]:
            counts[each["error"], each["error_code"]] += each["count"]
    return sorted(counts.items(), key=lambda each: (-each[1], each[0]))
