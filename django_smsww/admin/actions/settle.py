"""Settle messages whose outcome is unknown, on a person's word."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import Model
from django.utils.translation import gettext, ngettext_lazy
from django.utils.translation import gettext_lazy as _

from ...exceptions import InvalidSMS
from ...models import Message
from ...states import State
from .base import LONGEST_REASON, Action, Result, Text

SENT, UNSENT = "sent", "unsent"


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
        help_text=_("How you know what became of it. This is stored with the message."),
    )


class Settle(Action):
    name = "settle"
    form_class = SettleForm
    button = _("Settle…")
    label = _("Settle selected messages whose outcome is unknown")
    confirm = _("Settle")
    title = _("Settle this message?")
    title_selected = _("Settle these messages?")
    leaving = ngettext_lazy("%d message will be settled:", "%d messages will be settled:")
    staying = _("These are not settled")
    done = ngettext_lazy("%d message was settled.", "%d messages were settled.")
    warning = _(
        "Refresh first: the gateway often knows. If you settle a message as not sent although it "
        "was sent, a resend reaches its recipient a second time."
    )

    def why_not(self, message: Message) -> Text:
        return "" if message.state == State.UNKNOWN else _("Its outcome is known.")

    def do(self, message: Message, user: Model, answers: dict[str, Any]) -> Result:
        """Settle it, unless it is too early or another person was faster."""
        was_sent = answers["verdict"] == SENT
        try:
            moved = message.settle(was_sent, by=user, reason=answers["reason"])
        except InvalidSMS as error:
            return Result(problem=error.explain())
        if not moved:
            return Result(problem=gettext("It was settled meanwhile."))
        text = _("It was settled as sent.") if was_sent else _("It was settled as not sent.")
        deed = gettext("Settled as sent") if was_sent else gettext("Settled as not sent")
        return Result(message, text, log=(message, deed))
