"""The pages of the actions: GET asks for confirmation, and POST carries out the action."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
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
from ...states import RESENDABLE, State
from ..base import ReadOnlyAdmin
from ..columns import excerpt_of
from ..formatting import badge, money, recipient_of
from ..suspension import banner
from .base import Action, Result, Text, size_of
from .cancel import Cancel
from .refresh import Refresh
from .resend import Resend
from .settle import Settle

RESEND, REFRESH, SETTLE = Resend(), Refresh(), Settle()
ACTIONS: tuple[Action, ...] = (RESEND, REFRESH, Cancel(), SETTLE)

Reasons = list[tuple[Message, Text]]
"""Messages, each with the reason why the action refuses it, or with ""."""


def offers(model_admin: ReadOnlyAdmin, request: HttpRequest, message: Message) -> dict[str, Any]:
    """Return the buttons of a message's page, and the reason if "resend" or "settle" is missing."""
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
    # For an unfinished or resent message, the page shows this already.
    is_over = message.state in RESENDABLE and not hasattr(message, "resent_as")
    return {
        "buttons": buttons,
        "no_resend": reasons.get(RESEND, "") if is_over else "",
        "no_settle": reasons.get(SETTLE, "") if message.state == State.UNKNOWN else "",
    }


# Note [Send before the response]
# With ATOMIC_REQUESTS, a message would be sent only at the end of the request's transaction, so the
# page could not show its result. `wrap_view()` keeps the mark that this decorator sets.
@transaction.non_atomic_requests
def action_view(
    model_admin: ReadOnlyAdmin, request: HttpRequest, object_id: int, action: Action
) -> HttpResponse:
    """Show the confirmation page of the action. On POST, act on the message."""
    return ActionPage(model_admin, request, action).one(object_id)


# See Note [Send before the response].
@transaction.non_atomic_requests
def selected_action_view(
    model_admin: ReadOnlyAdmin, request: HttpRequest, action: Action
) -> HttpResponse:
    """Act on the messages that the user confirmed, and show the results above the changelist."""
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
    """The confirmation and the results of one action, for one request."""

    model_admin: ReadOnlyAdmin
    request: HttpRequest
    action: Action

    def one(self, object_id: int) -> HttpResponse:
        rows = self.model_admin.get_queryset(self.request)
        message = get_object_or_404(rows, pk=object_id)
        data = self.request.POST if self.request.method == "POST" else None
        form = self.action.form([message], data, many=False)
        if reason := self.action.why_refused(message, self.request.user):
            return self._refuse(message, form, reason)
        if not form.is_valid():
            return self._ask_one(message, form, reason)
        [result] = self._results([message], form.cleaned_data)
        if result.row is None:
            return self._refuse(message, form, result.problem)
        self._say(result.text or result.problem, result.level)
        return self.model_admin.redirect_to(self.request, "change", result.row.pk)

    def _refuse(self, message: Message, form: Any, reason: Text) -> HttpResponse:
        """Redirect to the message's page, and show there why the action is refused.

        If the field "reason" contains text, do not redirect: show the form again, with this text.
        """
        self._say(reason, messages.WARNING)
        if form.data.get("reason"):
            refused = self.action.why_refused(message, self.request.user)
            return self._ask_one(message, form, refused)
        return self.model_admin.redirect_to(self.request, "change", _newest(message).pk)

    def ask_selected(self, queryset: QuerySet[Any]) -> TemplateResponse | None:
        queryset = queryset.order_by("pk")  # the order in which `selected()` acts on them
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
        if self._act_on_each(rows, form.cleaned_data) or not form.data.get("reason"):
            return changelist
        return self._ask_many(rows, form)

    def _act_on_each(self, rows: list[Message], answers: dict[str, Any]) -> bool:
        """Act on each message, and show the results. Return False if nothing was done."""
        reasons = [(row, self.action.why_skip(row, answers)) for row in rows]
        ready = [row for row, reason in reasons if not reason]
        skipped = Counter(str(reason) for _row, reason in reasons if reason)
        results = list(self._results(ready, answers))
        skipped.update(str(result.problem) for result in results if result.row is None)
        done = [result for result in results if result.row]
        self._report(done, skipped)
        if left := ready[len(results) :]:
            text = gettext(
                "The gateway failed on a message, so the messages after it were not tried: {}"
            )
            self._say(format_html(text, self._links((row, "") for row in left)), messages.WARNING)
        return bool(done)

    def _results(self, rows: list[Message], answers: dict[str, Any]) -> Iterator[Result]:
        """Act on each message, and log the action. End after a result whose `stop` is True."""
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
            text = gettext("An error occurred for these messages: {}")
            found = ((result.chosen, f" ({result.problem})") for result in failed)
            self._say(format_html(text, self._links(found)), messages.WARNING)
        for reason, times in skipped.items():
            text = ngettext("%(n)d was skipped: %(why)s", "%(n)d were skipped: %(why)s", times)
            self._say(text % {"n": times, "why": reason}, messages.WARNING)

    def _links(self, found: Iterable[tuple[Message, str]]) -> str:
        """Return an HTML link for each (message, text) pair, with the text after the link."""
        url = self.model_admin.view_url
        parts = ((url("change", row.pk), row, words) for row, words in found)
        return format_html_join("; ", '<a href="{}">{}</a>{}', parts)

    def _are_too_many(self, chosen: Collection[Any]) -> bool:
        if len(chosen) <= self.action.most:
            return False
        text = gettext("At most %d messages can be chosen at once for this. Nothing was done.")
        self._say(text % self.action.most, messages.ERROR)
        return True

    def _say(self, text: Text, level: int) -> None:
        self.model_admin.message_user(self.request, str(text), level)

    def _ask_one(self, message: Message, form: Any, reason: Text) -> TemplateResponse:
        title, refresh_page = self.action.title, self._refresh_page(message)
        reasons = [(message, reason)]
        return self._ask(reasons, form, title=title, original=message, refresh_page=refresh_page)

    def _refresh_page(self, message: Message) -> str:
        """Return the URL for the button "Refresh" on the page "settle", or "" for no button."""
        may_refresh = self.model_admin.allows(self.request, REFRESH.name)
        if self.action is not SETTLE or not may_refresh or REFRESH.why_not(message):
            return ""
        return self.model_admin.filtered_url(self.request, REFRESH.name, message.pk)

    def _ask_many(self, rows: list[Message], form: Any) -> TemplateResponse:
        reasons = [(row, self.action.why_refused(row, self.request.user)) for row in rows]
        return self._ask(reasons, form, title=self.action.title_selected)

    def _ask(self, reasons: Reasons, form: Any, **context: Any) -> TemplateResponse:
        context |= _question(reasons, self.action, Viewer.of(self.request))
        if self.action.sends:
            context |= banner(self.request)
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
    """Reload the message and return it. If it was resent meanwhile, return the new message."""
    message.refresh_from_db()
    return getattr(message, "resent_as", message)


def _keys(request: HttpRequest) -> set[int]:
    """Return the primary keys in the POST data, without invalid values."""
    sent = request.POST.getlist(ACTION_CHECKBOX_NAME)
    return {int(key) for key in sent if key.isascii() and key.isdigit() and len(key) < 19}


def _question(reasons: Reasons, action: Action, viewer: Viewer) -> dict[str, Any]:
    """Return the context of the confirmation page: messages, segments, countries and costs."""
    leaving = [row for row, reason in reasons if not reason]
    size = Message.objects.filter(pk__in=[row.pk for row in leaving])
    return {
        "leaving": [_line(row, viewer) for row in leaving],
        "leaving_text": action.leaving % len(leaving),
        "staying": [_line(row, viewer) | {"reason": reason} for row, reason in reasons if reason],
        "viewer": viewer,
        **size_of(size, with_cost=action.sends and viewer.sees_costs),
    }


def _line(message: Message, viewer: Viewer) -> dict[str, Any]:
    return {
        "message": message,
        "number": recipient_of(message, is_shown=viewer.sees_content),
        "text": excerpt_of(message) if viewer.sees_content else HIDDEN,
        "badge": badge(message.state),
        "cost": money(message.total_price),
    }
