"""The pages of the actions: a question on GET, the action on POST."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext, ngettext

from ...models import Message
from ...models.viewer import HIDDEN, Viewer
from ...states import RESENDABLE
from ..base import ReadOnlyAdmin
from ..columns import excerpt_of
from ..formatting import badge, money, named_countries, recipient_of
from .base import Action, Result, Text
from .cancel import Cancel
from .refresh import Refresh
from .resend import Resend
from .settle import Settle

RESEND = Resend()
ACTIONS: tuple[Action, ...] = (RESEND, Refresh(), Cancel(), Settle())


def offers(model_admin: ReadOnlyAdmin, request: HttpRequest, message: Message) -> dict[str, Any]:
    """Return the actions that this user may use on this message, and why not to resend it."""
    reasons = {
        action: action.why_refused(message, request.user)
        for action in ACTIONS
        if model_admin.allows(request, action.name)
    }
    buttons = [
        {
            "name": action.name,
            "label": action.button,
            "page": model_admin.filtered_url(request, action.name, message.pk),
        }
        for action, reason in reasons.items()
        if not reason
    ]
    # Of a message that has not ended, or was resent, the page says enough.
    is_over = message.state in RESENDABLE and not hasattr(message, "resent_as")
    return {"buttons": buttons, "no_resend": reasons.get(RESEND, "") if is_over else ""}


# Note [Leave before the page is made]
# In a transaction of the request (ATOMIC_REQUESTS) a message would leave at its end, and the page
# could not say what became of it. `wrap_view()` hands the mark of the decorator on.
@transaction.non_atomic_requests
def action_view(
    model_admin: ReadOnlyAdmin, request: HttpRequest, object_id: int, action: Action
) -> HttpResponse:
    """Ask about one message, and on POST act on it."""
    return ActionPage(model_admin, request, action).one(object_id)


# See Note [Leave before the page is made].
@transaction.non_atomic_requests
def selected_action_view(
    model_admin: ReadOnlyAdmin, request: HttpRequest, action: Action
) -> HttpResponse:
    """Act on the confirmed messages, and report above the changelist."""
    return ActionPage(model_admin, request, action).selected()


def admin_action(action: Action) -> Callable[..., Any]:
    """Return the changelist action that shows the confirmation page for the selected messages."""

    @admin.action(permissions=[action.name], description=action.label)  # type: ignore[arg-type]
    def ask(model_admin: ReadOnlyAdmin, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        return ActionPage(model_admin, request, action).ask_selected(queryset)

    ask.__name__ = f"{action.name}_selected"
    return ask


@dataclass(frozen=True, slots=True)
class ActionPage:
    """An action in one request."""

    model_admin: ReadOnlyAdmin
    request: HttpRequest
    action: Action

    def one(self, object_id: int) -> HttpResponse:
        """Ask about one message; act on it if the form is valid."""
        rows = self.model_admin.get_queryset(self.request)
        message = get_object_or_404(rows, pk=object_id)
        if reason := self.action.why_refused(message, self.request.user):
            self._say(reason, messages.WARNING)
            return self.model_admin.redirect_to(self.request, "change", _newest(message).pk)
        data = self.request.POST if self.request.method == "POST" else None
        form = self.action.form([message], data, many=False)
        if not form.is_valid():
            return self._ask([message], form, title=self.action.title, original=message)
        [result] = self._results([message], form.cleaned_data)
        self._say(result.text or result.problem, result.level)
        return self.model_admin.redirect_to(
            self.request, "change", (result.row or _newest(message)).pk
        )

    def ask_selected(self, queryset: QuerySet[Any]) -> TemplateResponse | None:
        rows = list(queryset.select_related("resent_as")[: self.action.most + 1])
        if self._are_too_many(rows):
            return None
        return self._ask_many(rows, self.action.form(rows, many=True))

    def selected(self) -> HttpResponse:
        changelist = self.model_admin.redirect_to(self.request, "changelist")
        if self.request.method != "POST" or self._are_too_many(keys := _keys(self.request)):
            return changelist
        queryset = self.model_admin.get_queryset(self.request).filter(pk__in=keys).order_by("pk")
        rows = list(queryset.select_related("resent_as"))
        form = self.action.form(rows, self.request.POST, many=True)
        if not form.is_valid():
            return self._ask_many(rows, form)
        self._act_on_each(rows, form.cleaned_data)
        return changelist

    def _act_on_each(self, rows: list[Message], answers: dict[str, Any]) -> None:
        reasons = [(row, self.action.why_skip(row, answers)) for row in rows]
        ready = [row for row, reason in reasons if not reason]
        skipped = Counter(str(reason) for _row, reason in reasons if reason)
        results = list(self._results(ready, answers))
        if left := len(ready) - len(results):
            skipped[gettext("Not tried, because the gateway failed on the previous message.")] += (
                left
            )
        skipped.update(str(result.problem) for result in results if result.row is None)
        self._report([result for result in results if result.row], skipped)

    def _results(self, rows: list[Message], answers: dict[str, Any]) -> Iterator[Result]:
        """Act and log, until a result says that the next one would fail, too."""
        for result in self.action.do_all(rows, self.request.user, answers):  # type: ignore[arg-type]
            if result.log:
                self.model_admin.log(self.request, *result.log)
            yield result
            if result.stop:
                return

    def _report(self, results: list[Result], skipped: Counter[str]) -> None:
        failed = [result for result in results if result.problem]
        if done := len(results) - len(failed):
            self._say(self.action.done % done, messages.SUCCESS)
        if failed:
            text = gettext("Tried, with an error: {}")
            self._say(format_html(text, self._links(failed)), messages.WARNING)
        for reason, times in skipped.items():
            text = ngettext("%(n)d was skipped: %(why)s", "%(n)d were skipped: %(why)s", times)
            self._say(text % {"n": times, "why": reason}, messages.WARNING)

    def _links(self, results: list[Result]) -> str:
        url = self.model_admin.view_url
        rows = ((url("change", one.row.pk), one.row, one.problem) for one in results if one.row)
        return format_html_join("; ", '<a href="{}">{}</a> ({})', rows)

    def _are_too_many(self, chosen: Collection[Any]) -> bool:
        if len(chosen) <= self.action.most:
            return False
        text = gettext("At most %d messages can be chosen at once for this. Nothing was done.")
        self._say(text % self.action.most, messages.ERROR)
        return True

    def _say(self, text: Text, level: int) -> None:
        self.model_admin.message_user(self.request, str(text), level)

    def _ask_many(self, rows: list[Message], form: Any) -> TemplateResponse:
        return self._ask(rows, form, title=self.action.title_selected)

    def _ask(self, rows: list[Message], form: Any, **context: Any) -> TemplateResponse:
        context |= _question(rows, self.action, Viewer.of(self.request))
        return self.model_admin.render_page(
            self.request,
            "message/ask.html",
            action_checkbox_name=ACTION_CHECKBOX_NAME,
            action=self.action,
            form=form,
            many_page=f"admin:django_smsww_message_{self.action.name}_selected",
            **context,
        )


def _newest(message: Message) -> Message:
    """Return the resend of this message, which the other of two clicks may have made."""
    message.refresh_from_db()
    return getattr(message, "resent_as", message)


def _keys(request: HttpRequest) -> set[int]:
    """Return the confirmed primary keys; leave out other values."""
    sent = request.POST.getlist(ACTION_CHECKBOX_NAME)
    return {int(key) for key in sent if key.isascii() and key.isdigit() and len(key) < 19}


def _question(rows: list[Message], action: Action, viewer: Viewer) -> dict[str, Any]:
    """Return what the confirmation counts: messages, segments, countries and known costs."""
    reasons = [(row, action.why_not(row)) for row in rows]
    leaving = [row for row, reason in reasons if not reason]
    costs = [row.total_price for row in leaving if row.total_price is not None]
    return {
        "leaving": [_line(row, viewer) for row in leaving],
        "leaving_text": action.leaving % len(leaving),
        "staying": [_line(row, viewer) | {"reason": reason} for row, reason in reasons if reason],
        "segments": sum(row.segments or 0 for row in leaving),
        "countries": named_countries(Counter(row.country for row in leaving)),
        "viewer": viewer,
        "known_cost": action.cost % money(sum(costs, Decimal(0))) if action.cost and costs else "",
        "without_cost": len(leaving) - len(costs),
    }


def _line(message: Message, viewer: Viewer) -> dict[str, Any]:
    return {
        "message": message,
        "number": recipient_of(message, is_shown=viewer.sees_content),
        "text": excerpt_of(message) if viewer.sees_content else HIDDEN,
        "badge": badge(message.state),
        "cost": money(message.total_price),
    }
