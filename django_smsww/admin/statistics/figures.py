"""The daily figures that the statistics page plots."""

from collections.abc import Set
from datetime import timedelta
from decimal import Decimal

from django.utils.formats import date_format, number_format
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ...operations.days import Day
from ...operations.totals import Period
from ...states import UNFINISHED, State
from ..batch_figures import NOT_DELIVERED
from ..formatting import duration, money
from .plots import Plot, Series, lines, stacked

# Without colours, a reader can tell five patterns apart. So similar states share a group.
GROUPS: dict[str, tuple[str | Promise, Set[State]]] = {
    "delivered": (_("Delivered"), {State.DELIVERED}),
    "lost": (_("Not delivered"), NOT_DELIVERED),
    "failed": (_("Failed or cancelled"), {State.FAILED, State.CANCELLED}),
    "unknown": (_("Outcome unknown"), {State.UNKNOWN}),
    "way": (_("Under way"), UNFINISHED - {State.UNKNOWN} | {State.VALIDATED}),
}


def plots(period: Period, *, with_costs: bool) -> list[Plot]:
    labels = [date_format(day, "SHORT_DATE_FORMAT") for day in period.days]
    days = list(period.days.values())
    drawn = [
        stacked(Plot(_("Messages per day"), _by_group(days, "messages"), labels, number_format)),
        stacked(Plot(_("Segments per day"), _by_group(days, "segments"), labels, number_format)),
        lines(Plot(_("Delivery rate"), _rates(days), labels, _percent), most=100),
        lines(Plot(_("Time to delivery"), _times(days), labels, _duration, note=_sample(days))),
    ]
    costs = Plot(_("Cost and penalties per day"), _costs(days), labels, _euro)
    return [*drawn, stacked(costs)] if with_costs else drawn


def _by_group(days: list[Day], column: str) -> list[Series]:
    return [
        Series(name, label, [getattr(day.total(states), column) for day in days])
        for name, (label, states) in GROUPS.items()
    ]


def delivery_rate(day: Day) -> float | None:
    """Return 100 * delivered / (delivered + not delivered), or None if both counts are 0."""
    delivered, lost = (day.total(GROUPS[name][1]).messages for name in ("delivered", "lost"))
    return round(100 * delivered / (delivered + lost), 1) if delivered + lost else None


def _rates(days: list[Day]) -> list[Series]:
    return [
        Series(
            "first",
            _("Delivered messages, in percent of the sent messages whose state is final"),
            [*map(delivery_rate, days)],
        )
    ]


def _times(days: list[Day]) -> list[Series]:
    times = [day.times for day in days]
    return [
        Series("first", _("Median"), [one and one.median for one in times]),
        Series("second", _("95 % were faster than"), [one and one.slow for one in times]),
    ]


def _sample(days: list[Day]) -> str:
    thinned = max((day.times.thinned for day in days if day.times), default=1)
    return gettext("A sample: one in %d deliveries.") % thinned if thinned > 1 else ""


def _costs(days: list[Day]) -> list[Series]:
    return [
        Series("delivered", _("Cost"), [float(day.total().cost) for day in days]),
        Series("failed", _("Penalties"), [float(day.total().penalties) for day in days]),
    ]


def _percent(value: float) -> str:
    return gettext("%s %%") % number_format(Decimal(f"{value:g}"))


def _duration(seconds: float) -> str:
    return duration(timedelta(seconds=seconds))


def _euro(amount: float) -> str:
    return money(Decimal(amount))
