"""The pages that ask before a deed, and do it: a question on GET, the deed on POST."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext, ngettext

from ...models import Message
from ..base import HistoryAdmin
from ..formatting import page_of
from ..frame import framed
from ..permissions import Viewer
from .base import Deed, Done
from .ending import Cancel, Settle
from .question import question
from .refresh import Refresh
from .resend import Resend

DEEDS: tuple[Deed, ...] = (Resend(), Refresh(), Cancel(), Settle())


class DeedAdmin(HistoryAdmin):
    """An action, two addresses and a permission for each deed."""

    def may(self, request: HttpRequest, name: str) -> bool:
        """Only who may see messages may do anything with them, and only by a permission."""
        permitted = request.user.has_perm(f"django_smsww.{name}_message")
        return permitted and self.has_view_permission(request)

    def has_resend_permission(self, request: HttpRequest) -> bool:
        """Whether the user may send messages once more."""
        return self.may(request, "resend")

    def has_refresh_permission(self, request: HttpRequest) -> bool:
        """Whether the user may ask the gateway."""
        return self.may(request, "refresh")

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        """Whether the user may cancel what waits."""
        return self.may(request, "cancel")

    def has_settle_permission(self, request: HttpRequest) -> bool:
        """Whether the user may say what became of a message."""
        return self.may(request, "settle")

    def get_urls(self) -> list[Any]:
        """Add the pages; the admin's wrapper logs in, and checks the CSRF token."""
        own = [url for deed in DEEDS for url in self._urls_of(deed)]
        return own + super().get_urls()

    def _urls_of(self, deed: Deed) -> list[Any]:
        # Under ATOMIC_REQUESTS a message would only leave after the page was made.
        wrap: Callable[..., Any] = self.admin_site.admin_view
        one = transaction.non_atomic_requests(wrap(partial(self.one, deed=deed)))
        many = transaction.non_atomic_requests(wrap(partial(self.many, deed=deed)))
        name = f"django_smsww_message_{deed.name}"
        return [
            path(f"{deed.name}/", many, name=f"{name}_selected"),
            path(f"<int:object_id>/{deed.name}/", one, name=name),
        ]

    def buttons(self, request: HttpRequest, message: Message) -> list[dict[str, Any]]:
        """Return what may be done with this message by this user."""
        site = self.admin_site.name
        return [
            {
                "name": deed.name,
                "label": deed.button,
                "page": reverse(
                    f"admin:django_smsww_message_{deed.name}",
                    args=(message.pk,),
                    current_app=site,
                ),
            }
            for deed in DEEDS
            if self.may(request, deed.name) and not deed.why_not(message)
        ]

    # One

    def one(self, request: HttpRequest, object_id: int, *, deed: Deed) -> HttpResponse:
        """Ask whether to do it with this message, and on POST do so."""
        if not self.may(request, deed.name):
            raise PermissionDenied
        message = self.get_object(request, str(object_id))
        if message is None:
            raise Http404
        if reason := deed.why_not(message):
            self.message_user(request, str(reason), messages.WARNING)
            return HttpResponseRedirect(self._page(self._newest(message)))
        form = deed.form([message], request.POST if request.method == "POST" else None, many=False)
        if form.is_valid():
            return self._do_one(request, deed, message, form.cleaned_data)
        return self._ask(request, deed, [message], form, title=deed.title, original=message)

    def _do_one(
        self, request: HttpRequest, deed: Deed, message: Message, answers: dict[str, Any]
    ) -> HttpResponse:
        done = deed.do(message, request.user, answers)  # type: ignore[arg-type]
        self._log(request, done)
        self.message_user(request, str(done.said or done.trouble), done.level)
        return HttpResponseRedirect(self._page(done.row or self._newest(message)))

    def _newest(self, message: Message) -> Message:
        """Return what stands for it by now: the other of two clicks may have resent it."""
        message.refresh_from_db()
        return getattr(message, "resent_as", message)

    # Many

    def ask_many(
        self, request: HttpRequest, queryset: QuerySet[Any], *, deed: Deed
    ) -> TemplateResponse | None:
        """Ask whether to do it with the selected messages; nothing is done by this."""
        chosen = list(queryset.select_related("resent_as")[: deed.most + 1])
        if len(chosen) > deed.most:
            self._too_many(request, deed)
            return None
        form = deed.form(chosen, many=True)
        return self._ask(request, deed, chosen, form, title=deed.title_many)

    def many(self, request: HttpRequest, *, deed: Deed) -> HttpResponse:
        """Do it with the confirmed messages, one by one, and say what was done."""
        if not self.may(request, deed.name):
            raise PermissionDenied
        back = HttpResponseRedirect(
            reverse("admin:django_smsww_message_changelist", current_app=self.admin_site.name)
        )
        if request.method != "POST":
            return back
        primary_keys = _primary_keys(request)
        if len(primary_keys) > deed.most:
            self._too_many(request, deed)
            return back
        rows = self.get_queryset(request).filter(pk__in=primary_keys).order_by("pk")
        chosen = list(rows.select_related("resent_as"))
        form = deed.form(chosen, request.POST, many=True)
        if not form.is_valid():
            return self._ask(request, deed, chosen, form, title=deed.title_many)
        self._do_many(request, deed, chosen, form.cleaned_data)
        return back

    def _do_many(
        self, request: HttpRequest, deed: Deed, rows: list[Message], answers: dict[str, Any]
    ) -> None:
        skipped: Counter[str] = Counter()
        ready: list[Message] = []
        for message in rows:
            reason = deed.why_skip(message, answers)
            if reason:
                skipped[str(reason)] += 1
            else:
                ready.append(message)
        done: list[Done] = []
        for each in deed.do_all(ready, request.user, answers):  # type: ignore[arg-type]
            done.append(each)
            self._log(request, each)
            if each.is_pointless_to_go_on:
                break
        left = len(ready) - len(done)
        if left:
            skipped[gettext("The gateway could not take the one before.")] += left
        skipped.update(str(each.trouble) for each in done if each.row is None)
        self._report(request, deed, [each for each in done if each.row], skipped)

    def _report(
        self, request: HttpRequest, deed: Deed, done: list[Done], skipped: Counter[str]
    ) -> None:
        fine = [one for one in done if not one.trouble]
        troubled = [one for one in done if one.trouble]
        if fine:
            self.message_user(request, deed.succeeded(len(fine)), messages.SUCCESS)
        if troubled:
            text = gettext("Tried, and not fine: {}")
            self.message_user(request, format_html(text, self._links(troubled)), messages.WARNING)
        for reason, times in skipped.items():
            text = ngettext("%(n)d was skipped: %(why)s", "%(n)d were skipped: %(why)s", times)
            self.message_user(request, text % {"n": times, "why": reason}, messages.WARNING)

    def _links(self, tried: Iterable[Done]) -> str:
        rows = ((self._page(one.row), one.row, one.trouble) for one in tried if one.row)
        return format_html_join("; ", '<a href="{}">{}</a> ({})', rows)

    def _too_many(self, request: HttpRequest, deed: Deed) -> None:
        text = gettext("At most %d messages can be chosen at once for this. Nothing was done.")
        self.message_user(request, text % deed.most, messages.ERROR)

    # Both

    def _ask(
        self, request: HttpRequest, deed: Deed, rows: list[Message], form: Any, **context: Any
    ) -> TemplateResponse:
        context |= question(rows, deed, Viewer.of(request))
        return framed(
            self,
            request,
            "message/ask.html",
            action_checkbox_name=ACTION_CHECKBOX_NAME,
            deed=deed,
            form=form,
            many_page=f"admin:django_smsww_message_{deed.name}_selected",
            **context,
        )

    def _log(self, request: HttpRequest, done: Done) -> None:
        """Write the rows' admin history; it names them by their references alone."""
        for row, text in done.logged:
            is_new = row is done.row and len(done.logged) > 1
            (self.log_addition if is_new else self.log_change)(request, row, text)

    def _page(self, message: Message) -> str:
        return page_of(Message, message.pk, self.admin_site.name)


def as_action(deed: Deed) -> Callable[..., Any]:
    """Return what the list offers for this deed."""

    def action(admin: DeedAdmin, request: HttpRequest, rows: QuerySet[Any]) -> Any:
        return admin.ask_many(request, rows, deed=deed)

    action.__name__ = f"{deed.name}_selected"
    action.allowed_permissions = (deed.name,)  # type: ignore[attr-defined]
    action.short_description = deed.action  # type: ignore[attr-defined]
    return action


def _primary_keys(request: HttpRequest) -> set[int]:
    """Return the confirmed primary keys; whoever made up others gets nothing for them."""
    sent = request.POST.getlist(ACTION_CHECKBOX_NAME)
    return {int(key) for key in sent if key.isascii() and key.isdigit() and len(key) < 19}
