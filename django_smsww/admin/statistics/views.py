"""The page of statistics: what to draw of the figures of a period, and for whom."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ...daily import Sums, day_of
from ..base import ReadOnlyAdmin
from ..formatting import duration, money
from ..permissions import Viewer
from .figures import GROUPS, Figures, together
from .plots import Plot, Series, lines, stacked

USUAL_DAYS = 30
MOST_DAYS = 92
MOST_NAMES = 20

PATIENCE = 0.5
"""After so many seconds the page shows how far it got, and asks for itself again."""


class PeriodForm(forms.Form):
    """From which day to which; without them the past 30 days."""

    since = forms.DateField(
        label=_("From"), required=False, widget=forms.DateInput({"type": "date"}, "%Y-%m-%d")
    )
    until = forms.DateField(
        label=_("To"), required=False, widget=forms.DateInput({"type": "date"}, "%Y-%m-%d")
    )

    def clean(self) -> dict[str, Any]:
        """Refuse what is no period, or too long a one to be read."""
        data = super().clean() or {}
        last = data.get("until") or today()
        if not 1970 < last.year < 9999:
            raise forms.ValidationError(_("That is no day of ours."))
        first = data.get("since") or last - timedelta(days=USUAL_DAYS - 1)
        if first > last:
            raise forms.ValidationError(_("The first day must not be after the last."))
        if (last - first).days >= MOST_DAYS:
            raise forms.ValidationError(_("Choose at most %d days.") % MOST_DAYS)
        return {"since": first, "until": last}


def statistics_view(model_admin: ReadOnlyAdmin, request: HttpRequest) -> HttpResponse:
    """Draw the chosen period."""
    form = PeriodForm(request.GET or {})
    last = today()
    first = last - timedelta(days=USUAL_DAYS - 1)
    if form.is_valid():
        first, last = form.cleaned_data["since"], form.cleaned_data["until"]
    figures = Figures.read(first, last, seconds=PATIENCE)
    shown = unfinished(figures) if figures.missing else drawn(figures, Viewer.of(request))
    return model_admin.render_page(
        request,
        "statistics/page.html",
        title=_("Statistics"),
        form=PeriodForm(initial={"since": first, "until": last}),
        errors=form.non_field_errors() if form.is_bound else [],
        is_wrong=not form.is_valid(),
        quick=[(days, _quick(days)) for days in (7, 30, 90)],
        **shown,
    )


def drawn(figures: Figures, viewer: Viewer) -> dict[str, Any]:
    """Return what the page shows of a period."""
    return {
        "plots": plots(figures, viewer),
        "ranks": ranks(figures, viewer),
        "totals": totals(figures, viewer),
    }


def unfinished(figures: Figures) -> dict[str, Any]:
    """Return what the page shows while days have still to be added up: no sums of a part."""
    done = len(figures.days)
    return {"done": done, "whole": done + figures.missing}


def today() -> date:
    """Return the day in the time zone of the project, whatever the user's is."""
    return day_of(timezone.now())


def _quick(days: int) -> str:
    return f"?since={today() - timedelta(days=days - 1):%Y-%m-%d}&until={today():%Y-%m-%d}"


def plots(figures: Figures, viewer: Viewer) -> list[Plot]:
    """Return the plots of the days."""
    drawn = [
        stacked(_by_state(figures, "messages", _("Messages per day"))),
        stacked(_by_state(figures, "segments", _("Segments per day"))),
        lines(_rate(figures), most=100),
        lines(_times(figures)),
    ]
    return [*drawn, stacked(_costs(figures))] if viewer.sees_costs else drawn


def _labels(figures: Figures) -> list[str]:
    return [date_format(day, "SHORT_DATE_FORMAT") for day in figures.days]


def _by_state(figures: Figures, what: str, title: Any) -> Plot:
    series = [
        Series(
            name,
            label,
            [getattr(figures.of_group(day, name), what) for day in figures.days],
        )
        for name, (label, _states) in GROUPS.items()
    ]
    return Plot(what, title, series, _labels(figures), number_format)


def _rate(figures: Figures) -> Plot:
    rates = [figures.delivery_rate(day) for day in figures.days]
    values = [None if rate is None else round(rate * 100, 1) for rate in rates]
    series = [Series("first", _("Delivered of what has ended"), values)]
    return Plot("rate", _("Delivery rate"), series, _labels(figures), _percent)


def _times(figures: Figures) -> Plot:
    times = [figures.times(day) for day in figures.days]
    series = [
        Series("first", _("Median"), [one.median if one else None for one in times]),
        Series("second", _("95 % were faster than"), [one.slow if one else None for one in times]),
    ]
    plot = Plot("times", _("Time to delivery"), series, _labels(figures), _duration)
    if figures.thinned > 1:
        plot.note = gettext("Of one in %d deliveries.") % figures.thinned
    return plot


def _percent(value: float) -> str:
    return gettext("%s %%") % number_format(Decimal(f"{value:g}"))


def _duration(seconds: float) -> str:
    return duration(timedelta(seconds=seconds))


def _costs(figures: Figures) -> Plot:
    sums = [figures.of_day(day) for day in figures.days]
    series = [
        Series("delivered", _("Cost"), [float(one.cost) for one in sums]),
        Series("failed", _("Penalties"), [float(one.penalties) for one in sums]),
    ]
    return Plot("costs", _("Cost and penalties per day"), series, _labels(figures), _euro)


def _euro(amount: float) -> str:
    return money(Decimal(str(round(amount, 6))))


def ranks(figures: Figures, viewer: Viewer) -> list[dict[str, Any]]:
    """Return what went where: by country, tag and alias, the most first."""
    return [
        _rank(_("By country"), figures.by("country"), viewer),
        _rank(_("By tag"), figures.by("tag"), viewer),
        _rank(_("By alias"), figures.by("alias"), viewer),
    ]


def _rank(title: Any, sums: dict[str, Sums], viewer: Viewer) -> dict[str, Any]:
    ordered = sorted(sums.items(), key=lambda each: (-each[1].messages, each[0]))
    shown = ordered[:MOST_NAMES]
    if len(ordered) > MOST_NAMES:
        shown.append((gettext("others"), together(one for _n, one in ordered[MOST_NAMES:])))
    most = max((one.messages for _name, one in shown), default=1) or 1
    return {
        "title": title,
        "lines": [
            {"name": name or gettext("none"), "width": round(100 * one.messages / most, 1)}
            | _shown(one, viewer)
            for name, one in shown
        ],
    }


def totals(figures: Figures, viewer: Viewer) -> dict[str, Any]:
    """Return the sums of the whole period."""
    return _shown(together(map(figures.of_day, figures.days)), viewer)


def _shown(sums: Sums, viewer: Viewer) -> dict[str, Any]:
    costs = {"cost": money(sums.cost), "penalties": money(sums.penalties)}
    return {
        "messages": number_format(sums.messages),
        "segments": number_format(sums.segments),
        **(costs if viewer.sees_costs else {}),
    }
