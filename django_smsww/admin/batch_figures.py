"""The progress of batches: costs, message counts by state, and whether a batch was stopped."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Count, Max, Min, QuerySet, Sum
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext

from ..models import Message, Suspension
from ..models.suspension import STOPPED
from ..states import SETTLED_BY_PROVIDER, State

GONE_WRONG = frozenset({State.FAILED, State.UNKNOWN})
NOT_SENT_YET = frozenset({State.QUEUED, State.SENDING})
NEVER_SENT = frozenset({State.CANCELLED, State.VALIDATED})
NOT_DELIVERED = SETTLED_BY_PROVIDER - {State.DELIVERED}


@dataclass
class Figures:
    """The counts and the cost of a batch.

    Attributes:
        tags: the tags of the messages. If there are more than two tags, some may be missing.
        first: the first message of the batch. The list of batches shows the text of this message.
    """

    states: Counter[str] = field(default_factory=Counter)
    cost: Decimal = Decimal(0)
    tags: set[str] = field(default_factory=set)
    first: Message | None = None
    is_stopped: bool = False

    def count(self, states: Iterable[str]) -> int:
        return sum(self.states[state] for state in states)

    @property
    def waiting(self) -> int:
        return self.states[State.QUEUED]

    @property
    def sent(self) -> int:
        return self.states.total() - self.count(NOT_SENT_YET | GONE_WRONG | NEVER_SENT)

    def in_words(self, size: int) -> SafeString:
        """Return the progress as HTML: "90 of 100 sent" (100 is `size`), then other counts.

        The other counts are "not delivered", "failed", "unknown", "cancelled", "wait" and "being
        sent". Counts of zero are left out. A stopped batch also has the mark "stopped".
        """
        sent = gettext("%(sent)d of %(size)d sent") % {"sent": self.sent, "size": size}
        said = format_html("{}", sent)
        for tone, text in self._badges():
            said = format_html('{} <span class="smsww-badge smsww-{}">{}</span>', said, tone, text)
        for text in self._marks():
            said = format_html('{} · <span class="smsww-mark">{}</span>', said, text)
        return said

    def _badges(self) -> Iterator[tuple[str, str]]:
        if lost := self.count(NOT_DELIVERED):
            yield "bad", ngettext("%d not delivered", "%d not delivered", lost) % lost
        if failed := self.states[State.FAILED]:
            yield "warn", gettext("%d failed") % failed
        if unknown := self.states[State.UNKNOWN]:
            yield "warn", gettext("%d unknown") % unknown

    def _marks(self) -> Iterator[str]:
        if cancelled := self.states[State.CANCELLED]:
            yield ngettext("%d cancelled", "%d cancelled", cancelled) % cancelled
        if self.waiting:
            yield ngettext("%d waits", "%d wait", self.waiting) % self.waiting
        if sending := self.states[State.SENDING]:
            yield gettext("%d being sent") % sending
        if self.is_stopped:
            yield gettext("stopped")


def figures_of(references: Iterable[UUID]) -> dict[UUID, Figures]:
    names, figures = list(references), defaultdict[UUID, Figures](Figures)
    firsts: dict[UUID, int] = {}
    groups: Any = Message.objects.filter(batch__in=names).order_by().values("batch", "state")
    sums: Any = {"count": Count("pk"), "paid": Sum("total_price"), "begun": Min("pk")}
    for group in groups.annotate(**sums, tag_from=Min("tag"), tag_to=Max("tag")):
        one = figures[group["batch"]]
        one.states[group["state"]] += group["count"]
        one.cost += group["paid"] or 0
        one.tags |= {group["tag_from"], group["tag_to"]}
        firsts[group["batch"]] = min(group["begun"], firsts.get(group["batch"], group["begun"]))
    rows = Message.objects.only("batch", "body", "scrubbed").in_bulk(list(firsts.values()))
    for name, primary_key in firsts.items():
        figures[name].first = rows.get(primary_key)
    for stop in stops_of(names):
        figures[UUID(stop.batch)].is_stopped = True
    return figures


def stops_of(references: Iterable[UUID]) -> QuerySet[Suspension]:
    """Return the suspensions that stop these batches."""
    scopes = [f"batch:{name}" for name in references]
    return Suspension.objects.filter(scope__in=scopes, error_code=STOPPED)
