"""Write a message: check it, try it without sending, confirm it, and only then send it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from django.contrib import messages
from django.contrib.admin.models import ADDITION
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ...clock import local_time
from ...exceptions import SMSError, SMSOutcomeUnknown
from ...models import Message
from ...models.viewer import Viewer
from ...segments import tables
from ...sending.api import send_mass_sms, send_sms
from ...sending.dispatch import MOST_AT_ONCE, queue_for
from ...states import State
from ..base import ReadOnlyAdmin
from ..detail.advice import BY_STATE
from ..formatting import badge, money, named_countries, short_moment
from ..suspension import banner
from ..text import MarkedText
from .draft import MOST_PROBLEMS, Draft
from .forms import ComposeForm

TRY, SEND, EDIT = "_try", "_send", "_edit"
NOT_ACCEPTED = (State.QUEUED, State.SENDING, State.CANCELLED)
"""The states without an error in which the gateway has not accepted the message."""


# See Note [Leave before the page is made] in actions/views.py.
@transaction.non_atomic_requests
def compose_view(model_admin: ReadOnlyAdmin, request: HttpRequest) -> HttpResponse:
    """Show the form; on POST check it, try it, or send it."""
    page = ComposePage(model_admin, request)
    return page.post() if request.method == "POST" else page.get()


@dataclass(frozen=True, slots=True)
class ComposePage:
    """The form and its confirmation, in one request."""

    model_admin: ReadOnlyAdmin
    request: HttpRequest

    def get(self) -> HttpResponse:
        return self._show(self._form(initial={"token": uuid4()}))

    def post(self) -> HttpResponse:
        """Do as the pressed button asks; send only a confirmed message."""
        form = self._form(self.request.POST, self.request.FILES)
        if not form.is_valid() or EDIT in self.request.POST:
            return self._show(form)
        draft = form.cleaned_data["draft"]
        if TRY in self.request.POST:
            return self._try(self._retyped(form), draft)
        if SEND in self.request.POST and self._is_confirmed(draft) and not _refusal(draft):
            return self._send(form, draft)
        return self._ask(form, draft)

    def _form(self, *data: Any, **options: Any) -> ComposeForm:
        many = self.request.user.has_perm("django_smsww.mass_send_message")
        return ComposeForm(*data, many=many, **options)

    def _retyped(self, form: ComposeForm) -> ComposeForm:
        """Return the form as if the numbers of its file were typed: browsers upload none twice."""
        if not form.cleaned_data.get("file"):
            return form
        retyped = self._form(self.request.POST.dict() | {"recipients": form.typed})
        retyped.is_valid()
        return retyped

    def _show(self, form: ComposeForm, **context: Any) -> HttpResponse:
        context |= {"title": _("Write a message"), "form": form, "tables": tables()}
        context |= _problems(form) | banner(self.request)
        return self.model_admin.render_page(self.request, "compose/form.html", **context)

    def _try(self, form: ComposeForm, draft: Draft) -> HttpResponse:
        """Make a dry run for the first number, and show the gateway's answer above the form."""
        options = self._options(draft) | {"dry_run": True, "queue": False}
        try:
            row = send_sms(draft.sms.body, draft.numbers[0], draft.sms.sender, **options)
        except SMSError as error:
            return self._show(form, tried={"trouble": error.explain()})
        costs = money(row.total_price) if Viewer.of(self.request).sees_costs else ""
        tried = {"badge": badge(row.state), "row": row, "cost": costs, "of": len(draft.numbers)}
        return self._show(form, tried=tried)

    def _options(self, draft: Draft) -> dict[str, Any]:
        return {
            "using": draft.backend.alias,
            "tag": draft.sms.tag,
            "sensitive": draft.sms.sensitive,
            "created_by": self.request.user,
        }

    def _ask(self, form: ComposeForm, draft: Draft) -> HttpResponse:
        """Show the checked message; a large batch asks for its count to be typed in."""
        viewer = Viewer.of(self.request)
        return self.model_admin.render_page(
            self.request,
            "compose/ask.html",
            title=_("Send this message?"),
            draft=draft,
            # Other users would learn from it which number got which text.
            earlier=draft.earlier() if viewer.sees_content else {},
            sees_costs=viewer.sees_costs,
            **(_prices(draft, self.request.user) if viewer.sees_costs else {}),
            text=MarkedText.of(draft.sms.body),
            countries=named_countries(draft.countries()),
            not_before=short_moment(draft.sms.send_at) if draft.sms.send_at else "",
            encoding=form.encoding,
            **_problems(form),
            **banner(self.request),
            refusal=_refusal(draft),
            must_type=len(draft.numbers) > MOST_AT_ONCE,
            is_unanswered=SEND in self.request.POST,
            hidden=_hidden_fields(form),
        )

    def _is_confirmed(self, draft: Draft) -> bool:
        if len(draft.numbers) <= MOST_AT_ONCE:
            return True
        return self.request.POST.get("count", "").strip() == str(len(draft.numbers))

    def _send(self, form: ComposeForm, draft: Draft) -> HttpResponse:
        """Send it. A second click or a reloaded page has the same key, and sends nothing."""
        sms, key = draft.sms, f"admin:{form.cleaned_data['token']}"
        options = self._options(draft) | {"key": key, "send_at": sms.send_at}
        try:
            if len(draft.numbers) == 1:
                row = send_sms(sms.body, draft.numbers[0], sms.sender, **options)
                return self._sent(row)
            options["queue"] = queue_for(len(draft.numbers), draft.backend)
            return self._sent_many(send_mass_sms(sms.body, draft.numbers, sms.sender, **options))
        except SMSError as error:
            if error.message is not None:
                return self._sent(error.message, error)
            form.add_error(None, error.explain())
            return self._show(form)

    def _sent(self, row: Message, error: SMSError | None = None) -> HttpResponse:
        self.model_admin.log(self.request, row, gettext("Wrote a message"), flag=ADDITION)
        level = messages.WARNING if error else messages.SUCCESS
        if error is not None:
            text = _what_became(error) % error.explain()
        elif row.state in NOT_ACCEPTED:
            text = str(BY_STATE[row.state])
        else:
            text = gettext("The gateway accepted it.")
        self.model_admin.message_user(self.request, text, level)
        return self.model_admin.redirect_to(self.request, "change", row.pk)

    def _sent_many(self, rows: list[Message]) -> HttpResponse:
        deed = ngettext("Wrote %d message", "Wrote %d messages", len(rows)) % len(rows)
        log = self.model_admin.log
        log(self.request, rows[0], deed, name=rows[0].batch, flag=ADDITION)
        text = ngettext(
            "%d message was stored. This page shows what becomes of it.",
            "%d messages were stored. This page shows what becomes of them.",
            len(rows),
        )
        self.model_admin.message_user(self.request, text % len(rows), messages.SUCCESS)
        return HttpResponseRedirect(self.model_admin.view_url("batch", rows[0].batch))


def _what_became(error: SMSError) -> str:
    if isinstance(error, SMSOutcomeUnknown):
        return gettext("It may have been sent: %s")
    return gettext("It could not be sent: %s")


def _problems(form: ComposeForm) -> dict[str, Any]:
    """Return the lines that are left out, and why, for the page."""
    return {
        "problems": form.problems[:MOST_PROBLEMS],
        "more_problems": len(form.problems[MOST_PROBLEMS:]),
    }


def _prices(draft: Draft, user: Any) -> dict[str, str]:
    """Return the price that a try has found for one number, and what all would cost by it."""
    price = draft.price_tried(user)
    whole = price * len(draft.numbers) if price is not None else None
    return {"price": money(price), "whole_price": money(whole)}


def _hidden_fields(form: ComposeForm) -> list[tuple[str, Any]]:
    """Return the checked form once more, for the buttons of the confirmation."""
    data = form.cleaned_data
    send_at = data["send_at"]
    return [
        ("recipients", form.typed),
        ("body", data["body"]),
        *((name, data[name]) for name in ("alias", "sender", "tag", "token")),
        ("sensitive", "on" if data["sensitive"] else ""),
        ("send_at", f"{local_time(send_at):%Y-%m-%dT%H:%M}" if send_at else ""),
    ]


def _refusal(draft: Draft) -> str:
    if draft.is_queued and not draft.is_delivered:
        return gettext(
            "It would wait in the queue, and no worker runs. "
            "Ask your administrator to start “manage.py smsww_worker” first."
        )
    return ""
