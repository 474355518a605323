"""The pages to write a message: the form, a dry run, the confirmation, and the sending."""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from django.contrib import messages
from django.contrib.admin.models import ADDITION
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ...clock import local_time
from ...exceptions import SMSError, SMSOutcomeUnknown
from ...models import Message, Suspension
from ...models.viewer import Viewer
from ...segments import tables
from ...sending.api import send_mass_sms, send_sms
from ...sending.dispatch import MOST_AT_ONCE, queue_for
from ...states import State
from ..actions.base import size_context
from ..advice import BY_STATE
from ..base import ReadOnlyAdmin
from ..formatting import badge, batch_url, money, short_start
from ..suspension import TEXT_REFUSED, banner, is_text_refused
from ..text import MarkedText
from .draft import MOST_PROBLEMS, Draft
from .forms import ComposeForm

TRY, SEND, EDIT = "_try", "_send", "_edit"
NOT_ACCEPTED = (State.QUEUED, State.SENDING, State.CANCELLED)
"""For a message in these states, the page does not say that the gateway accepted the message."""


# See Note [Send before the response] in actions/views.py.
@transaction.non_atomic_requests
def compose_view(model_admin: ReadOnlyAdmin, request: HttpRequest) -> HttpResponse:
    """Show the form. On POST, check the message, make a dry run, or send the message."""
    page = ComposePage(model_admin, request)
    return page.post() if request.method == "POST" else page.get()


@dataclass(frozen=True, slots=True)
class ComposePage:
    """Handle one request: show the form, make a dry run, ask for confirmation, or send."""

    model_admin: ReadOnlyAdmin
    request: HttpRequest

    def get(self) -> HttpResponse:
        return self._show(self._form(initial={"token": uuid4()}))

    def post(self) -> HttpResponse:
        """Handle the pressed button. Only a confirmed message is sent."""
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
        """Put the file's numbers into the text field, because no browser sends the file again."""
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
        """Ask for confirmation. For many messages, the user must type the number of messages."""
        viewer = Viewer.of(self.request)
        return self.model_admin.render_page(
            self.request,
            "compose/ask.html",
            title=_("Send this message?"),
            draft=draft,
            # The counts would reveal to other users which number got which text.
            earlier=draft.earlier() if viewer.sees_content else {},
            **size_context(draft.estimate(), with_cost=viewer.sees_costs),
            **(_prices(draft, self.request.user) if viewer.sees_costs else {}),
            text=MarkedText.of(draft.sms.body),
            not_before=short_start(draft.sms.send_at) if draft.sms.send_at else "",
            encoding=form.encoding,
            **_problems(form),
            **banner(self.request),
            refusal=_refusal(draft),
            must_wait=draft.is_queued and draft.held_by(waits=False),
            must_type=len(draft.numbers) > MOST_AT_ONCE,
            is_unanswered=SEND in self.request.POST,
            hidden=_hidden_fields(form),
        )

    def _is_confirmed(self, draft: Draft) -> bool:
        if len(draft.numbers) <= MOST_AT_ONCE:
            return True
        return self.request.POST.get("count", "").strip() == str(len(draft.numbers))

    def _send(self, form: ComposeForm, draft: Draft) -> HttpResponse:
        """Send the message. A repeated request has the same idempotency key, and sends nothing."""
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
        if isinstance(error, SMSOutcomeUnknown):
            text = gettext("It may have been sent: %s") % error.explain()
        elif error is not None:
            text = gettext("It could not be sent: %s") % error.explain()
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
        return HttpResponseRedirect(batch_url(self.model_admin.admin_site.name, rows[0].batch))


def _problems(form: ComposeForm) -> dict[str, Any]:
    """Return the first problems to show, and the number of further problems."""
    return {
        "problems": form.problems[:MOST_PROBLEMS],
        "more_problems": len(form.problems[MOST_PROBLEMS:]),
    }


def _prices(draft: Draft, user: Any) -> dict[str, str]:
    """Return the price of one message from a recent dry run, and the price of all messages."""
    price = draft.price_tried(user)
    whole = price * len(draft.numbers) if price is not None else None
    return {"price": money(price), "whole_price": money(whole)}


def _hidden_fields(form: ComposeForm) -> list[tuple[str, Any]]:
    """Return the values of the form as hidden fields for the confirmation page."""
    data = form.cleaned_data
    send_at = data["send_at"]
    return [
        ("recipients", form.typed),
        ("body", data["body"]),
        *((name, data[name]) for name in ("alias", "sender", "tag", "token")),
        ("sensitive", "on" if data["sensitive"] else ""),
        ("send_at", f"{local_time(send_at):%Y-%m-%dT%H:%M}" if send_at else ""),
    ]


def _refusal(draft: Draft) -> Any:
    if draft.is_queued and not draft.has_worker:
        return gettext(
            "The message would wait in the queue, but no worker is running. First ask your "
            "administrator to start “manage.py smsww_worker”."
        )
    held = draft.held_by(waits=draft.is_queued)
    return _why_held(held, draft) if held else ""


def _why_held(held: Suspension, draft: Draft) -> Any:
    """Return why the messages would fail now, with advice for the user."""
    if is_text_refused(held):
        return TEXT_REFUSED
    if held.until:
        text = gettext("Sending is paused: each message would fail now. Try again from {} on.")
        reason: Any = format_html(text, short_start(held.until))
    else:
        reason = gettext(
            "Sending is paused: each message would fail now. Try again after the pause."
        )
    if not draft.has_worker:
        return reason
    other = gettext(
        "Or go back to the text and choose a later time: then the messages are queued, "
        "and do not fail."
    )
    return format_html("{} {}", reason, other)
