"""Write a message: checked first, tried if wanted, confirmed, and only then sent."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ...clock import local_time
from ...exceptions import SMSError
from ...models import Message
from ...segments import tables
from ...sending.api import send_mass_sms, send_sms
from ...states import State
from ..actions.question import named_countries
from ..actions.views import DeedAdmin
from ..formatting import badge, money, page_of
from ..frame import framed
from ..permissions import Viewer
from ..text import MarkedText
from .draft import MOST_AT_ONCE, MOST_PROBLEMS, Draft
from .forms import ComposeForm

TRY, SEND, EDIT = "_try", "_send", "_edit"


class ComposeAdmin(DeedAdmin):
    """The page that writes a message, and the one that asks whether it is to be sent."""

    def has_send_permission(self, request: HttpRequest) -> bool:
        """Whether the user may send messages."""
        return self.may(request, "send")

    def get_urls(self) -> list[Any]:
        """Add the page."""
        # Under ATOMIC_REQUESTS a message would only leave after the page was made.
        view = transaction.non_atomic_requests(self.admin_site.admin_view(self.compose))
        return [path("compose/", view, name="django_smsww_message_compose"), *super().get_urls()]

    def compose(self, request: HttpRequest) -> HttpResponse:
        """Show the form; on POST check it, try it, or send it."""
        if not self.has_send_permission(request):
            raise PermissionDenied
        many = request.user.has_perm("django_smsww.mass_send_message")
        if request.method != "POST":
            return self._show_form(request, ComposeForm(many=many, initial={"token": uuid4()}))
        form = ComposeForm(request.POST, request.FILES, many=many)
        if not form.is_valid():
            return self._show_form(request, form)
        draft, token = form.cleaned_data["draft"], form.cleaned_data["token"]
        if EDIT in request.POST:
            return self._show_form(request, form)
        if TRY in request.POST:
            return self._try_message(request, form, draft)
        if SEND in request.POST and _is_confirmed(request, draft) and not _refusal(draft):
            return self._send_message(request, form, draft, f"admin:{token}")
        return self._ask_to_send(request, form, draft)

    def _show_form(self, request: HttpRequest, form: ComposeForm, **context: Any) -> HttpResponse:
        return framed(
            self,
            request,
            "compose/form.html",
            title=_("Write a message"),
            form=form,
            tables=tables(),
            **context,
        )

    def _try_message(self, request: HttpRequest, form: ComposeForm, draft: Draft) -> HttpResponse:
        """Let the gateway look at the message for the first number, and tell what it said."""
        # What was uploaded is not uploaded again: its numbers go on as if they had been typed.
        form.data = request.POST.dict() | {"recipients": "\n".join(draft.numbers)}
        sms = draft.sms
        try:
            row = send_sms(
                sms.body,
                draft.numbers[0],
                sms.sender,
                using=draft.backend.alias,
                dry_run=True,
                queue=False,
                tag=sms.tag,
                sensitive=sms.sensitive,
                created_by=request.user,
            )
        except SMSError as error:
            return self._show_form(request, form, tried={"trouble": error.explain()})
        costs = money(row.total_price) if Viewer.of(request).sees_costs else ""
        tried = {"badge": badge(row.state), "row": row, "cost": costs, "of": len(draft.numbers)}
        return self._show_form(request, form, tried=tried)

    def _ask_to_send(self, request: HttpRequest, form: ComposeForm, draft: Draft) -> HttpResponse:
        """Show what would be sent, and ask for its count to be typed in if it is much."""
        data = form.cleaned_data
        return framed(
            self,
            request,
            "compose/ask.html",
            title=_("Send this message?"),
            draft=draft,
            # To others it would tell who got which text.
            earlier=draft.earlier() if Viewer.of(request).sees_content else {},
            text=MarkedText.of(draft.sms.body),
            countries=named_countries(draft.countries()),
            problems=draft.problems[:MOST_PROBLEMS],
            more_problems=len(draft.problems[MOST_PROBLEMS:]),
            refusal=_refusal(draft),
            must_type=len(draft.numbers) > MOST_AT_ONCE,
            is_unanswered=SEND in request.POST,
            hidden=[
                ("recipients", "\n".join(draft.numbers)),
                ("body", data["body"]),
                *((name, data[name]) for name in ("alias", "sender", "tag", "token")),
                ("sensitive", "on" if data["sensitive"] else ""),
                (
                    "send_at",
                    f"{local_time(data['send_at']):%Y-%m-%dT%H:%M}" if data["send_at"] else "",
                ),
            ],
        )

    def _send_message(
        self, request: HttpRequest, form: ComposeForm, draft: Draft, key: str
    ) -> HttpResponse:
        """Send it; a second click, or a reloaded page, has the same key and sends nothing."""
        sms = draft.sms
        options: Any = {
            "using": draft.backend.alias,
            "key": key,
            "tag": sms.tag,
            "sensitive": sms.sensitive,
            "send_at": sms.send_at,
            "created_by": request.user,
        }
        try:
            if len(draft.numbers) == 1:
                row = send_sms(sms.body, draft.numbers[0], sms.sender, **options)
                return self._sent(request, row)
            queue = _queue(draft)
            rows = send_mass_sms(sms.body, draft.numbers, sms.sender, queue=queue, **options)
        except SMSError as error:
            if error.message is not None:
                return self._sent(request, error.message, error)
            form.add_error(None, error.explain())
            return self._show_form(request, form)
        return self._sent_many(request, rows)

    def _sent(
        self, request: HttpRequest, row: Message, error: SMSError | None = None
    ) -> HttpResponse:
        self.log_addition(request, row, "Composed.")
        if error is not None:
            said = gettext("It was tried: %s") % error.explain()
            self.message_user(request, said, messages.WARNING)
        elif row.state == State.QUEUED:
            self.message_user(request, gettext("It waits to be sent."), messages.SUCCESS)
        else:
            self.message_user(request, gettext("It was handed over."), messages.SUCCESS)
        return HttpResponseRedirect(page_of(Message, row.pk, self.admin_site.name))

    def _sent_many(self, request: HttpRequest, rows: list[Message]) -> HttpResponse:
        self.log_addition(request, rows[0], f"Composed a batch of {len(rows)} messages.")
        text = ngettext("%d message was written.", "%d messages were written.", len(rows))
        self.message_user(request, text % len(rows), messages.SUCCESS)
        name = "admin:django_smsww_message_batch"
        return HttpResponseRedirect(
            reverse(name, args=(rows[0].batch,), current_app=self.admin_site.name)
        )


def _queue(draft: Draft) -> bool | str | None:
    """Return where many messages wait; an engine of the project's own takes them as well."""
    if len(draft.numbers) <= MOST_AT_ONCE or isinstance(draft.backend.queue, str):
        return None
    return True


def _is_confirmed(request: HttpRequest, draft: Draft) -> bool:
    if len(draft.numbers) <= MOST_AT_ONCE:
        return True
    return request.POST.get("count", "").strip() == str(len(draft.numbers))


def _refusal(draft: Draft) -> str:
    if draft.is_queued and not draft.is_delivered:
        return gettext(
            "It would wait in the queue, and nothing delivers that: "
            "have “manage.py smsww_worker” started first."
        )
    return ""
