"""End what waits, and settle what nobody knows: two deeds on a person's word."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import Model
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ...exceptions import InvalidSMS
from ...models import Message
from ...states import State
from .base import Deed, Done, Text

SENT, UNSENT = "sent", "unsent"
LONGEST_REASON = 255


class CancelForm(forms.Form):
    reason = forms.CharField(label=_("Reason"), max_length=LONGEST_REASON, required=False)


class SettleForm(forms.Form):
    verdict = forms.ChoiceField(
        label=_("What became of it"),
        choices=[
            (SENT, _("It was sent: wait for what the gateway says")),
            (UNSENT, _("It was not sent: it failed, and may be sent again")),
        ],
        widget=forms.RadioSelect,
    )
    reason = forms.CharField(
        label=_("Reason"),
        max_length=LONGEST_REASON,
        help_text=_("What you rely on; it is kept with the message."),
    )


class Cancel(Deed):
    """Cancel what waits to be sent."""

    name = "cancel"
    most = 200
    button = _("Cancel…")
    action = _("Cancel selected messages that wait")
    confirm = _("Cancel the sending")
    title = _("Cancel this message?")
    title_many = _("Cancel these messages?")
    staying = _("These are not cancelled")

    def why_not(self, message: Message) -> Text:
        """Return why it is too late."""
        return "" if message.state == State.QUEUED else _("It does not wait to be sent.")

    def form(self, rows: list[Message], data: Any = None, *, many: bool) -> forms.Form:
        """Ask for a reason, which may be left out."""
        return CancelForm(data)

    def do(self, message: Message, user: Model, answers: dict[str, Any]) -> Done:
        """Cancel it, unless a worker was faster."""
        row = Message.objects.using(message._state.db).filter(pk=message.pk)
        if not row.cancel(by=user, reason=answers.get("reason", "")):
            return Done(trouble=gettext("It was on its way already."))
        return Done(message, _("It was cancelled; nothing was sent."), logged=_log(message))

    def leaves(self, count: int) -> str:
        """Say how many are given up."""
        return ngettext("%d message is not sent:", "%d messages are not sent:", count) % count

    def succeeded(self, count: int) -> str:
        """Say how many were."""
        return ngettext("%d message was cancelled.", "%d messages were cancelled.", count) % count


class Settle(Deed):
    """Say what became of messages whose outcome is unknown."""

    name = "settle"
    button = _("Settle…")
    action = _("Settle selected messages whose outcome is unknown")
    confirm = _("Settle")
    title = _("Settle this message?")
    title_many = _("Settle these messages?")
    staying = _("These are not settled")
    warning = _(
        "Refresh first: the gateway often knows. What is settled as not sent, and was, "
        "reaches its recipient twice if it is sent again."
    )

    def why_not(self, message: Message) -> Text:
        """Return why there is nothing to settle."""
        return "" if message.state == State.UNKNOWN else _("Its outcome is known.")

    def form(self, rows: list[Message], data: Any = None, *, many: bool) -> forms.Form:
        """Ask what became of it, and who says so."""
        return SettleForm(data)

    def do(self, message: Message, user: Model, answers: dict[str, Any]) -> Done:
        """Settle it, unless it is too early or was settled meanwhile."""
        was_sent = answers["verdict"] == SENT
        try:
            moved = message.settle(was_sent, by=user, reason=answers["reason"])
        except InvalidSMS as error:
            return Done(trouble=error.explain())
        if not moved:
            return Done(trouble=gettext("It was settled meanwhile."))
        if was_sent:
            return Done(message, _("It was settled as sent."), logged=_log(message, "as sent"))
        return Done(message, _("It was settled as not sent."), logged=_log(message, "as not sent"))

    def leaves(self, count: int) -> str:
        """Say how many are settled."""
        return ngettext("%d message is settled:", "%d messages are settled:", count) % count

    def succeeded(self, count: int) -> str:
        """Say how many were."""
        return ngettext("%d message was settled.", "%d messages were settled.", count) % count


def _log(message: Message, how: str = "") -> tuple[tuple[Message, str], ...]:
    return ((message, f"Settled {how}." if how else "Cancelled."),)
