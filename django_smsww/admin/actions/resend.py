"""Resend messages."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import Model
from django.utils.translation import gettext, ngettext, ngettext_lazy
from django.utils.translation import gettext_lazy as _

from ...backends.handler import sms_backends
from ...exceptions import InvalidSMSBackend, SMSError, SMSOutcomeUnknown, SMSUnavailable
from ...models import Message
from ...sending.api import resend
from ...sending.rows import RowWriter
from ...states import State
from .base import Action, Result, Text

ALIAS_UNUSABLE = _("Its alias cannot be used as it is configured now.")


class Resend(Action):
    """Send messages once more, as new ones; delivered ones only if the user ticks a box."""

    name = "resend"
    button = _("Resend…")
    label = _("Resend selected messages")
    confirm = _("Resend")
    title = _("Resend this message?")
    title_selected = _("Resend these messages?")
    leaving = ngettext_lazy(
        "%d message will be sent again as a new message:",
        "%d messages will be sent again as new messages:",
    )
    staying = _("These are not resent")
    done = ngettext_lazy("%d message was resent.", "%d messages were resent.")
    cost = _("It cost %s before.")

    def why_not(self, message: Message) -> Text:
        reason = message.why_not_resendable()
        return gettext(reason) if reason else ""

    def why_refused(self, message: Message, user: Any) -> Text:
        return self.why_not(message) or _why_refused(message, user)

    def why_skip(self, message: Message, answers: dict[str, Any]) -> Text:
        """Skip delivered messages, unless the user has ticked their box."""
        if message.state == State.DELIVERED and not answers.get("again"):
            return _("It was delivered.")
        return self.why_not(message)

    def form(self, rows: list[Message], data: Any = None, *, many: bool) -> forms.Form:
        """Add the box for delivered messages, if there are any."""
        form = super().form(rows, data, many=many)
        delivered = sum(row.state == State.DELIVERED for row in rows if not self.why_not(row))
        if delivered:
            form.fields["again"] = _again_for_all(delivered) if many else _again()
        return form

    def do(self, message: Message, user: Model, answers: dict[str, Any]) -> Result:
        """Send it, and return its new row; a failed resend has a row, too."""
        try:
            row = resend(message, created_by=user)
        except InvalidSMSBackend:
            return Result(problem=ALIAS_UNUSABLE)
        except SMSError as error:
            return _failure(message, error)
        if row.state == State.QUEUED:
            text = _("This is the new message. It waits to be sent.")
        else:
            text = _("It was sent once more. This is the new message.")
        return Result(row, text, log=_log(message, row))


def _why_refused(message: Message, user: Any) -> Text:
    """Return why our own rules refuse a resend now, such as the do-not-send list or a limit."""
    try:
        writer = RowWriter(sms_backends[message.alias], using=message._state.db, created_by=user)
        writer.validate(message.as_sms().replace(recipient=message.recipient))
    except InvalidSMSBackend:
        return ALIAS_UNUSABLE
    except SMSError as error:
        return error.explain()
    return ""


def _again() -> forms.BooleanField:
    text = _("It was delivered. Tick the box if it is to be sent again all the same.")
    return forms.BooleanField(
        label=_("It was delivered. Send it again all the same."), error_messages={"required": text}
    )


def _again_for_all(delivered: int) -> forms.BooleanField:
    label = ngettext(
        "%d was delivered. Send it again all the same.",
        "%d were delivered. Send them again all the same.",
        delivered,
    )
    return forms.BooleanField(label=label % delivered, required=False)


def _failure(message: Message, error: SMSError) -> Result:
    problem = error.explain()
    stop = isinstance(error, SMSUnavailable | SMSOutcomeUnknown)
    if error.message is None:
        return Result(None, problem, problem, stop=stop)
    if isinstance(error, SMSOutcomeUnknown):
        text = gettext("It was tried once more, and may have been sent: %s") % problem
    else:
        text = gettext("It was tried once more, and was not sent: %s") % problem
    return Result(error.message, text, problem, _log(message, error.message), stop)


def _log(old: Message, new: Message) -> tuple[Message, str]:
    return old, gettext("Resent as %s") % new.reference
