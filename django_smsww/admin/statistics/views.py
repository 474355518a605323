"""The statistics page: the form for the period, the plots, and the tables of sums."""

from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ...clock import day_of
from ...models.origin import Origin
from ...models.viewer import Viewer
from ...operations.days import Sums
from ...operations.totals import MOST_DAYS, Period, read_days
from ..base import ReadOnlyAdmin
from ..formatting import money, short_moment
from .figures import plots

USUAL_DAYS = 30
MOST_NAMES = 20
DATE = forms.DateInput({"type": "date"}, "%Y-%m-%d")

SECONDS = 0.3
"""After this time, a request sums up no further day. If days are left, the page reloads."""


class PeriodForm(forms.Form):
    """The first and the last day of the period. The default is the past 30 days."""

    since = forms.DateField(label=_("From"), required=False, widget=DATE)
    until = forms.DateField(label=_("To"), required=False, widget=DATE)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        last = data.get("until") or today()
        if not 1970 < last.year < 9999:
            raise forms.ValidationError(_("Choose days in the years 1971 to 9998."))
        first = data.get("since") or last - timedelta(days=USUAL_DAYS - 1)
        if first > last:
            raise forms.ValidationError(_("The first day must not be after the last."))
        if (last - first).days >= MOST_DAYS:
            raise forms.ValidationError(_("Choose at most %d days.") % MOST_DAYS)
        return {"since": first, "until": last}


def statistics_view(model_admin: ReadOnlyAdmin, request: HttpRequest) -> HttpResponse:
    """Show the figures of the chosen period.

    If the sums of some days of the period are still missing, show only the progress.
    """
    form = PeriodForm(request.GET or {})
    last = today()
    first = last - timedelta(days=USUAL_DAYS - 1)
    if form.is_valid():
        first, last = form.cleaned_data["since"], form.cleaned_data["until"]
    period = read_days(first, last, seconds=SECONDS)
    progress = {"done": len(period.days), "whole": len(period.wanted)}
    # The sums of a part of the period would mislead.
    is_done = progress["done"] == progress["whole"]
    return model_admin.render_page(
        request,
        "statistics/page.html",
        title=_("Statistics"),
        form=PeriodForm(initial={"since": first, "until": last}),
        errors=form.non_field_errors() if form.is_bound else [],
        is_wrong=not form.is_valid(),
        quick=[(days, _quick(days)) for days in (7, 30, 90, 365)],
        **drawn(period, Viewer.of(request)) if is_done else progress,
    )


def today() -> date:
    """Return today's date in the project's time zone, not in the user's."""
    return day_of(timezone.now())


def _quick(days: int) -> str:
    return f"?since={today() - timedelta(days=days - 1):%Y-%m-%d}&until={today():%Y-%m-%d}"


def drawn(period: Period, viewer: Viewer) -> dict[str, Any]:
    kinds = {"country": _("By country"), "tag": _("By tag"), "alias": _("By alias")}
    dates = {"since": str(period.wanted[0]), "until": str(period.wanted[-1])}
    ranks = [_rank(title, period.by(kind), viewer, kind, dates) for kind, title in kinds.items()]
    by_origin = period.by("origin")
    if Origin.ELSEWHERE in by_origin:
        named = {str(Origin(name).label): sums for name, sums in by_origin.items()}
        ranks.append(_rank(_("By origin"), named, viewer))
    return {
        "plots": plots(period, with_costs=viewer.sees_costs),
        "ranks": ranks,
        "totals": _shown(Sums.of(period.by("state").values()), viewer),
        "as_of": short_moment(period.as_of) if period.as_of else "",
    }


def _rank(
    title: Any,
    sums: dict[str, Sums],
    viewer: Viewer,
    kind: str = "",
    dates: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Return a table with a line for each of the `MOST_NAMES` most frequent names.

    If there are more names, a last line with the name "others" contains the sums of these names.
    If `kind` is set, each name except "" links to the changelist, filtered by `kind` and `dates`.
    """
    ordered = sorted(sums.items(), key=lambda each: (-each[1].messages, each[0]))
    most = max((one.messages for _name, one in ordered), default=1) or 1
    lines = [
        {
            "name": name or _nameless(kind),
            "query": urlencode({**(dates or {}), kind: name}) if kind and name else "",
            "width": round(100 * one.messages / most, 1),
        }
        | _shown(one, viewer)
        for name, one in ordered[:MOST_NAMES]
    ]
    if rest := ordered[MOST_NAMES:]:
        others = Sums.of(one for _name, one in rest)
        width = min(100, round(100 * others.messages / most, 1))
        lines.append({"name": gettext("others"), "width": width} | _shown(others, viewer))
    return {"title": title, "lines": lines}


def _nameless(kind: str) -> str:
    if kind == "country":
        # Not from the number: the sums of deleted messages have no numbers any more.
        return gettext("not known, or not sent")
    return gettext("none")


def _shown(sums: Sums, viewer: Viewer) -> dict[str, Any]:
    costs = {"cost": money(sums.cost), "penalties": money(sums.penalties)}
    return {
        "messages": number_format(sums.messages),
        "segments": number_format(sums.segments),
        **(costs if viewer.sees_costs else {}),
    }
