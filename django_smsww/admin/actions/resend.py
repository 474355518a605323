"""Send messages once more."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import Model
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ...exceptions import InvalidSMSBackend, SMSError, SMSOutcomeUnknown, SMSUnavailable
from ...models import Message
from ...sending.api import resend
from ...states import State
from .base import Deed, Done, Text


class Resend(Deed):
    """Send a message once more, as a new one; what was delivered, after a second question."""

    name = "resend"
    button = _("Resend…")
    action = _("Resend selected messages")
    confirm = _("Resend")
    title = _("Resend this message?")
    title_many = _("Resend these messages?")
    staying = _("These are not resent")

    def why_not(self, message: Message) -> Text:
        """Return why it must not be sent once more."""
        reason = message.why_not_resendable()
        return gettext(reason) if reason else ""

    def form(self, rows: list[Message], data: Any = None, *, many: bool) -> forms.Form:
        """Ask a second time about what was delivered."""
        delivered = sum(row.state == State.DELIVERED for row in rows if not self.why_not(row))
        form = forms.Form(data)
        if delivered:
            form.fields["again"] = _again(delivered, many)
        return form

    def why_skip(self, message: Message, answers: dict[str, Any]) -> Text:
        """Leave alone what was delivered, unless that was wanted."""
        if message.state == State.DELIVERED and not answers.get("again"):
            return _("It was delivered.")
        return self.why_not(message)

    def do(self, message: Message, user: Model, answers: dict[str, Any]) -> Done:
        """Send it, and return its new row, which there is even if it could not be sent."""
        try:
            row = resend(message, created_by=user)
        except InvalidSMSBackend:
            return Done(trouble=gettext("Its alias cannot be used as it is configured now."))
        except SMSError as error:
            return _troubled(message, error)
        waits = row.state == State.QUEUED
        said = _("This is the new message. It waits to be sent.") if waits else None
        said = said or _("It was sent once more. This is the new message.")
        return Done(row, said, logged=_log(message, row))

    def leaves(self, count: int) -> str:
        """Say how many messages leave."""
        text = ngettext("%d message leaves as a new one:", "%d messages leave as new ones:", count)
        return text % count

    def succeeded(self, count: int) -> str:
        """Say how many were accepted."""
        return ngettext("%d message was resent.", "%d messages were resent.", count) % count

    def cost(self, known: str) -> str:
        """Say what they cost the first time."""
        return gettext("It cost %s before.") % known


def _again(delivered: int, many: bool) -> forms.BooleanField:
    if not many:
        text = _("It was delivered. Tick the box if it is to be sent again all the same.")
        return forms.BooleanField(
            label=_("It was delivered. Send it again all the same."),
            error_messages={"required": text},
        )
    label = ngettext(
        "%d was delivered. Send it again all the same.",
        "%d were delivered. Send them again all the same.",
        delivered,
    )
    return forms.BooleanField(label=label % delivered, required=False)


def _troubled(message: Message, error: SMSError) -> Done:
    trouble = error.explain()
    if isinstance(error, SMSOutcomeUnknown):
        said = gettext("It was tried once more, and may have been sent: %s") % trouble
    else:
        said = gettext("It was tried once more, and was not sent: %s") % trouble
    return Done(
        error.message,
        said if error.message else trouble,
        trouble,
        _log(message, error.message) if error.message else (),
        is_pointless_to_go_on=isinstance(error, SMSUnavailable | SMSOutcomeUnknown),
    )


def _log(old: Message, new: Message) -> tuple[tuple[Message, str], ...]:
    return ((old, f"Resent as {new.reference}."), (new, f"Resend of {old.reference}."))
