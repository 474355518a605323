"""The pages of a batch: its progress, and the confirmation before a user stops it."""

from collections import Counter
from datetime import timedelta
from decimal import Decimal
from operator import itemgetter
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db import router
from django.db.models import Case, Count, F, Max, Min, QuerySet, Sum, Value, When
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext, ngettext

from ..models import Batch, Message, MessageQuerySet
from ..models.batch import stop_batch
from ..models.viewer import HIDDEN, Viewer
from ..sending.resending import country_from, to_resend
from ..states import State
from .advice import error_in_words
from .base import ReadOnlyAdmin
from .batch_figures import NOT_SENT_YET, Figures
from .batch_notes import resend_notes, stop_of, waiting_notes
from .columns import excerpt_of
from .formatting import badge, link_url, money, named_countries
from .suspension import SIZE, banner

MOST_REASONS = 50
MOST_TAGS = 20
STILL_CHANGES = timedelta(minutes=1)
MOST_NUMBERS = 1_000
"""For at most so many messages, the page derives the country from the telephone number."""


def batch_view(model_admin: ReadOnlyAdmin, request: HttpRequest, batch: UUID) -> HttpResponse:
    viewer, rows = Viewer.of(request), Message.objects.filter(batch=batch)
    groups = _groups(rows)
    if not groups:
        raise Http404
    stop = stop_of(batch, viewer)
    figures = Figures(count_by(groups, "state"), is_stopped=stop is not None)
    made = Batch.objects.filter(reference=batch).select_related("created_by").first()
    size = made.size if made else figures.states.total()
    messages_page = link_url(model_admin.admin_site.name, Message, "changelist")
    may_stop = model_admin.allows(request, "cancel") and figures.waiting
    return model_admin.render_page(
        request,
        "batch/page.html",
        title=gettext("Batch"),
        batch=batch,
        figures=figures,
        size=size,
        progress=figures.in_words(size),
        is_too_late=not figures.count((State.QUEUED, State.CANCELLED)),
        may_stop=may_stop and not figures.is_stopped,
        stop=stop,
        made=made,
        is_live=_is_changing(figures, groups) and "still" not in request.GET,
        text=_text(groups, viewer),
        messages_name=Message._meta.verbose_name_plural,
        list_page=messages_page and f"{messages_page}?batch={batch}",
        may_resend=_may_resend(request) and to_resend(rows).exists(),
        checkbox_name=ACTION_CHECKBOX_NAME,
        countries=countries_of(rows, groups),
        waiting_notes=[] if stop else list(waiting_notes(groups)),  # workers cancel what waits
        resend_notes=list(resend_notes(rows, model_admin.admin_site.name)),
        **_sums(groups, viewer),
        **banner(request),
    )


def _is_changing(figures: Figures, groups: list[dict[str, Any]]) -> bool:
    """Whether any message waits or is being sent.

    Also return True if any message is sent but not yet final, and the batch has changed recently.
    """
    is_recent = timezone.now() - max(each["moved"] for each in groups) < STILL_CHANGES
    return bool(
        figures.count(NOT_SENT_YET) or (is_recent and figures.count((State.NEW, State.PENDING)))
    )


def _may_resend(request: HttpRequest) -> bool:
    """Whether the user has the permissions to resend a whole list of messages."""
    names = ("resend_message", "mass_send_message")
    return request.user.has_perms([f"django_smsww.{name}" for name in names])


def _text(groups: list[dict[str, Any]], viewer: Viewer) -> Any:
    """Return the beginning of the first message's text, masked if the viewer may not see texts."""
    # Not "the first of the batch": for that, PostgreSQL may walk through the rows of other batches.
    oldest = min(each["oldest"] for each in groups)
    first = Message.objects.filter(pk=oldest).only("body", "scrubbed").first()
    return excerpt_of(first) if first and viewer.sees_content else HIDDEN


def stop_view(model_admin: ReadOnlyAdmin, request: HttpRequest, batch: UUID) -> HttpResponse:
    """Ask whether to cancel the waiting messages of a batch. On POST, cancel them."""
    rows: MessageQuerySet = Message.objects.filter(batch=batch)
    if not rows.exists():
        raise Http404
    if request.method != "POST":
        waiting = rows.queued().aggregate(**SIZE)
        return model_admin.render_page(
            request, "batch/stop.html", title=gettext("Stop this batch?"), batch=batch, **waiting
        )
    level, text = messages.WARNING, gettext("No message was cancelled, because none was waiting.")
    if _stop(request, batch, rows):
        level = messages.SUCCESS
        count = rows.filter(state=State.CANCELLED).count()  # workers cancel some as well
        text = ngettext("%d message was cancelled.", "%d messages were cancelled.", count) % count
    model_admin.message_user(request, text, level)
    model_admin.log(request, rows[0], gettext("Stopped a batch"), name=batch)
    return HttpResponseRedirect(model_admin.view_url("page", batch))


def _stop(request: HttpRequest, batch: UUID, rows: MessageQuerySet) -> int:
    reason = request.POST.get("reason", "").strip()
    using = router.db_for_write(Message)
    parts = rows.order_by().values_list("alias", "environment").distinct()
    return sum(
        stop_batch(alias, environment, batch, using=using, by=request.user, reason=reason)
        for alias, environment in list(parts)
    )


def _groups(rows: MessageQuerySet) -> list[dict[str, Any]]:
    # Group by all of them at once: for one column alone, a database may walk through the index of
    # that column, and read every message there is.
    names = (
        "state",
        "alias",
        "environment",
        "country",
        "tag",
        "error",
        "error_code",
        "error_status",
    )
    groups = rows.order_by().values(*names)
    sums: Any = groups.annotate(
        count=Count("pk"),
        parts=Sum("segments"),
        paid=Sum("total_price"),
        fined=Sum("penalty"),
        begun=Min("created_at"),
        due=Min("next_attempt_at"),
        moved=Max("updated_at"),
        oldest=Min("pk"),
        newest=Max("pk"),
    )
    return list(sums)


def _sums(groups: list[dict[str, Any]], viewer: Viewer) -> dict[str, Any]:
    states = count_by(groups, "state")
    return {
        "states": [(str(state), badge(state), states[state]) for state in State if state in states],
        "tags": _tags(groups),
        "reasons": _reasons(groups),
        "segments": sum(each["parts"] or 0 for each in groups),
        "begun": min(each["begun"] for each in groups),
        "moved": max(each["moved"] for each in groups),
        **(_costs(groups) if viewer.sees_costs else {}),
    }


def _costs(groups: list[dict[str, Any]]) -> dict[str, str]:
    def total(name: str) -> str:
        known = [each[name] for each in groups if each[name] is not None]
        return money(sum(known, Decimal(0))) if known else ""

    return {"cost": total("paid"), "fined": total("fined")}


def count_by(groups: list[dict[str, Any]], *names: str) -> Counter[Any]:
    """Count the messages by one column, or by a combination of columns."""
    counts: Counter[Any] = Counter()
    for each in groups:
        counts[itemgetter(*names)(each)] += each["count"]
    return counts


def countries_of(rows: QuerySet[Any], groups: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """Return (country, count) pairs for the messages in `rows`.

    `groups` contains counts of the same messages. If the gateway gave no country for a message,
    derive the country from the number. But if more than `MOST_NUMBERS` messages have no country,
    count these messages as "not known yet".
    """
    counts = count_by(groups, "country")
    if 0 < counts[""] <= MOST_NUMBERS:
        # Count all of them again: meanwhile the gateway may have named the country of some.
        counted = rows.filter(pk__lte=max(each["newest"] for each in groups))
        counts = _count_countries(counted)
    elif unknown := counts.pop("", 0):
        counts[gettext("not known yet")] = unknown
    return named_countries(counts)


def _count_countries(rows: QuerySet[Any]) -> Counter[str]:
    number = Case(When(country="", then=F("recipient")), default=Value(""))
    found = rows.order_by().values_list("country", number).annotate(count=Count("pk"))
    counts: Counter[str] = Counter()
    for country, recipient, count in found:
        counts[country or country_from(recipient)] += count
    return counts


def _tags(groups: list[dict[str, Any]]) -> str:
    """Return a text with the tags and their counts, the most frequent first.

    Return "" if all messages have the same tag.
    """
    counts = count_by(groups, "tag")
    if len(counts) < 2:
        return ""
    ordered = sorted(counts.items(), key=lambda each: (-each[1], each[0]))[:MOST_TAGS]
    named = [f"{tag or gettext('none')} ({number_format(n)})" for tag, n in ordered]
    return ", ".join(named + ["…"] * (len(counts) > MOST_TAGS))


def _reasons(groups: list[dict[str, Any]]) -> list[tuple[str, str, int]]:
    """Return the errors as (text, code, count), the most frequent first.

    Cancelled messages are left out, because their errors belong to earlier attempts.
    """
    counts: Counter[tuple[str, str]] = Counter()
    for each in groups:
        if each["state"] == State.CANCELLED:
            continue
        if words := error_in_words(each["error"], each["error_code"], each["error_status"]):
            counts[words, each["error_code"]] += each["count"]
    ordered = sorted(counts.items(), key=lambda each: (-each[1], each[0]))[:MOST_REASONS]
    return [(words, code, count) for (words, code), count in ordered]
