"""The action "cancel": cancel messages that wait in the queue."""

from typing import Any

from django import forms
from django.db.models import Model
from django.utils.translation import gettext, ngettext_lazy
from django.utils.translation import gettext_lazy as _

from ...models import Message
from ...states import State
from .base import LONGEST_REASON, READ_BY, Action, Result, Text


class CancelForm(forms.Form):
    reason = forms.CharField(
        label=_("Reason"), max_length=LONGEST_REASON, required=False, help_text=READ_BY
    )


class Cancel(Action):
    name = "cancel"
    most = 200
    form_class = CancelForm
    button = _("Cancel…")
    label = _("Cancel selected messages that wait")
    confirm = _("Cancel the sending")
    title = _("Cancel this message?")
    title_selected = _("Cancel these messages?")
    leaving = ngettext_lazy("%d message can be cancelled now:", "%d messages can be cancelled now:")
    staying = _("These are not cancelled")
    done = ngettext_lazy("%d message was cancelled.", "%d messages were cancelled.")
    warning = _(
        "Workers go on sending until you confirm. Then all messages that still wait are cancelled. "
        "Messages that have left cannot be called back."
    )

    def why_not(self, message: Message) -> Text:
        return "" if message.state == State.QUEUED else _("It is not in the queue.")

    def do(self, message: Message, user: Model, answers: dict[str, Any]) -> Result:
        """Cancel the message, unless a worker has begun to send it."""
        row = Message.objects.using(message._state.db).filter(pk=message.pk)
        if not row.cancel(by=user, reason=answers.get("reason", "")):
            return Result(problem=gettext("It was on its way already."))
        text = _("It was cancelled; nothing was sent.")
        return Result(message, text, log=(message, gettext("Cancelled")))
