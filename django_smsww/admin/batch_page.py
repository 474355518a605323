"""The pages of a batch, the messages of one mass send: its progress, and a button that stops it."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from operator import itemgetter
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db import router
from django.db.models import Count, Max, Min, Sum
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext, ngettext

from ..models import Batch, Message, MessageQuerySet
from ..models.batch import stop_batch
from ..models.viewer import HIDDEN, Viewer
from ..states import State
from .base import ReadOnlyAdmin
from .batch import Figures, stopped
from .columns import excerpt_of
from .formatting import badge, error_name, money, named_countries
from .suspension import SIZE, banner

MOST_REASONS = 50


def batch_view(model_admin: ReadOnlyAdmin, request: HttpRequest, batch: UUID) -> HttpResponse:
    viewer, rows = Viewer.of(request), Message.objects.filter(batch=batch)
    groups = _groups(rows)
    if not groups:
        raise Http404
    figures = Figures(count_by(groups, "state"), is_stopped=batch in stopped([batch]))
    made = Batch.objects.filter(reference=batch).select_related("created_by").first()
    size = made.size if made else figures.states.total()
    may_stop = model_admin.allows(request, "cancel") and figures.waiting
    return model_admin.render_page(
        request,
        "batch/page.html",
        title=gettext("Batch"),
        batch=batch,
        figures=figures,
        size=size,
        progress=figures.in_words(size),
        may_stop=may_stop and not figures.is_stopped,
        made=made,
        is_live=figures.waiting and "still" not in request.GET,
        text=_text(rows, viewer),
        **_sums(groups, viewer),
        **banner(request),
    )


def _text(rows: MessageQuerySet, viewer: Viewer) -> Any:
    """Return the beginning of the first message's text, if the viewer may see it."""
    first = rows.only("body", "scrubbed").order_by("pk").first()
    return excerpt_of(first) if first and viewer.sees_content else HIDDEN


def stop_view(model_admin: ReadOnlyAdmin, request: HttpRequest, batch: UUID) -> HttpResponse:
    """Ask whether to cancel the waiting messages of a batch, and on POST cancel them."""
    rows: MessageQuerySet = Message.objects.filter(batch=batch)
    if not rows.exists():
        raise Http404
    if request.method != "POST":
        waiting = rows.queued().aggregate(**SIZE)
        return model_admin.render_page(
            request, "batch/stop.html", title=gettext("Stop this batch?"), batch=batch, **waiting
        )
    count = _stop(request, batch, rows)
    text = ngettext("%d message was cancelled.", "%d messages were cancelled.", count) % count
    model_admin.message_user(request, text, messages.SUCCESS)
    model_admin.log(request, rows[0], gettext("Stopped a batch"), name=batch)
    return HttpResponseRedirect(model_admin.view_url("batch", batch))


def _stop(request: HttpRequest, batch: UUID, rows: MessageQuerySet) -> int:
    reason = request.POST.get("reason", "").strip()
    using = router.db_for_write(Message)
    parts = rows.order_by().values_list("alias", "environment").distinct()
    return sum(
        stop_batch(alias, environment, batch, using=using, by=request.user, reason=reason)
        for alias, environment in list(parts)
    )


def _groups(rows: MessageQuerySet) -> list[dict[str, Any]]:
    # Group by all four at once: for one column alone, a database may walk through the index of
    # that column, and read every message there is.
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


def _sums(groups: list[dict[str, Any]], viewer: Viewer) -> dict[str, Any]:
    states = count_by(groups, "state")
    return {
        "states": [(badge(state), states[state]) for state in State if state in states],
        "countries": named_countries(count_by(groups, "country")),
        "reasons": _reasons(groups),
        "segments": sum(each["parts"] or 0 for each in groups),
        "begun": min(each["begun"] for each in groups),
        "moved": max(each["moved"] for each in groups),
        **(_costs(groups) if viewer.sees_costs else {}),
    }


def _costs(groups: list[dict[str, Any]]) -> dict[str, str]:
    paid = sum((each["paid"] or Decimal(0) for each in groups), Decimal(0))
    fined = [each["fined"] for each in groups if each["fined"] is not None]
    return {"cost": money(paid), "fined": money(sum(fined, Decimal(0))) if fined else ""}


def count_by(groups: list[dict[str, Any]], *names: str) -> Counter[Any]:
    """Count the messages by one column, or by the combinations of some."""
    counts: Counter[Any] = Counter()
    for each in groups:
        counts[itemgetter(*names)(each)] += each["count"]
    return counts


def _reasons(groups: list[dict[str, Any]]) -> list[tuple[str, str, int]]:
    """Return the errors with their codes and counts, the most frequent first."""
    failed = count_by([each for each in groups if each["error"]], "error", "error_code")
    ordered = sorted(failed.items(), key=lambda each: (-each[1], each[0]))[:MOST_REASONS]
    return [(error_name(error), code, count) for (error, code), count in ordered]
