"""The action "settle": a user decides whether an UNKNOWN message was sent."""

from typing import Any

from django import forms
from django.db.models import Model
from django.utils.text import format_lazy
from django.utils.translation import gettext, ngettext_lazy
from django.utils.translation import gettext_lazy as _

from ...clock import rounded_up
from ...exceptions import InvalidSMS
from ...models import Message
from ...states import State
from ..formatting import hour
from .base import LONGEST_REASON, READ_BY, Action, Result, Text

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
        help_text=format_lazy("{} {}", _("How you know what became of it."), READ_BY),
    )


class Settle(Action):
    name = "settle"
    form_class = SettleForm
    button = _("Settle…")
    label = _("Settle selected messages whose outcome is unknown")
    confirm = _("Settle")
    title = _("Settle this message?")
    title_selected = _("Settle these messages?")
    leaving = ngettext_lazy("%d message can be settled now:", "%d messages can be settled now:")
    staying = _("These are not settled")
    done = ngettext_lazy("%d message was settled.", "%d messages were settled.")
    warning = _(
        "Refresh first: the gateway often knows. If you settle a message as not sent although it "
        "was sent, a resend reaches its recipient a second time."
    )

    def why_not(self, message: Message) -> Text:
        if message.state != State.UNKNOWN:
            return _("Its outcome is known.")
        if ends_at := message.grace_ends_at():
            text = gettext(
                "It can be settled from %s on: until then its request may still be under way."
            )
            return text % hour(rounded_up(ends_at))
        return ""

    def do(self, message: Message, user: Model, answers: dict[str, Any]) -> Result:
        """Settle the message, unless it is too early or the message was settled meanwhile."""
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
