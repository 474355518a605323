"""The notes on the page of a batch: the stop, the next send attempts, and links to resends."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext, ngettext_lazy

from ..models import MessageQuerySet
from ..models.viewer import HIDDEN, Viewer
from ..states import State
from .advice import is_retried, pauses
from .batch_figures import stops_of
from .formatting import batch_url, short_moment, short_start
from .text import visible

MOST_BATCHES = 20
RESENT = ngettext_lazy(
    "%(n)d of these messages was resent in batch {}.",
    "%(n)d of these messages were resent in batch {}.",
    "n",
)
RESENDS = ngettext_lazy(
    "%(n)d of these messages is a resend from batch {}.",
    "%(n)d of these messages are resends from batch {}.",
    "n",
)


def stop_of(batch: UUID, viewer: Viewer) -> dict[str, Any] | None:
    """Return the time, user and reason of the batch's stop; None if the batch was not stopped."""
    stop = stops_of([batch]).select_related("created_by").order_by("pk").first()
    if stop is None:
        return None
    # A person wrote the reason, and may have named a number.
    reason = visible(stop.reason) if viewer.sees_content else HIDDEN
    user = stop.created_by or gettext("program")
    return {"at": short_moment(stop.created_at), "user": user, "reason": stop.reason and reason}


def waiting_notes(groups: list[dict[str, Any]]) -> Iterator[SafeString | str]:
    """Yield up to two sentences: how many messages are paused, and how many will be retried."""
    queued = [each for each in groups if each["state"] == State.QUEUED]
    paused = set(pauses().values_list("alias", "environment")) if queued else set()
    held = [each for each in queued if (each["alias"], each["environment"]) in paused]
    if count := sum(each["count"] for each in held):
        text = ngettext(
            "%d message waits until the pause is over.",
            "%d messages wait until the pause is over.",
            count,
        )
        yield text % count
    tried = [
        each
        for each in queued
        if each not in held and is_retried(State.QUEUED, each["error"], each["error_code"])
    ]
    if tried:
        yield _retry_note(sum(each["count"] for each in tried), min(each["due"] for each in tried))


def _retry_note(count: int, at: datetime) -> SafeString | str:
    if at <= timezone.now():
        text = ngettext(
            "A worker tries %d message again by itself soon.",
            "A worker tries %d messages again by itself soon.",
            count,
        )
        return text % count
    text = ngettext(
        "A worker tries %d message again by itself, at {} or later.",
        "A worker tries %d messages again by itself, the first one at {} or later.",
        count,
    )
    return format_html(text % count, short_start(at))


def resend_notes(rows: MessageQuerySet, site: str) -> Iterator[SafeString | str]:
    """Yield sentences with links to related batches. The function makes two SQL queries.

    A batch is related if it contains a resend of a message in `rows`. A batch is also related if
    it contains the original message of a resend in `rows`.
    """
    for relation, text in (("resent_as", RESENT), ("resend_of", RESENDS)):
        found = _batches(rows, f"{relation}__batch")
        for other, count in found[:MOST_BATCHES]:
            link = format_html('<a href="{}">{}</a>', batch_url(site, other), other)
            yield format_html(text % {"n": count}, link)
        if len(found) > MOST_BATCHES:
            yield "…"


def _batches(rows: MessageQuerySet, path: str) -> list[tuple[UUID, int]]:
    others = rows.filter(**{f"{path}__isnull": False}).order_by().values_list(path)
    return list(others.annotate(n=Count("pk")).order_by("-n", path)[: MOST_BATCHES + 1])
