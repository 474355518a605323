"""The action "resend": send messages again as new messages."""

from typing import Any

from django import forms
from django.db import router
from django.db.models import Model
from django.utils.translation import gettext, ngettext, ngettext_lazy
from django.utils.translation import gettext_lazy as _

from ...backends.handler import sms_backends
from ...exceptions import InvalidSMSBackend, SMSError, SMSOutcomeUnknown, SMSUnavailable
from ...models import Message
from ...reconcile.refreshing import ALIAS_UNUSABLE
from ...sending.api import resend
from ...sending.rows import RowWriter
from ...states import State
from ..suspension import suspension_of
from .base import Action, Result, Text


class Resend(Action):
    """Resend messages as new messages. For a delivered message, the user must tick a checkbox."""

    name = "resend"
    button = _("Resend…")
    label = _("Resend selected messages")
    confirm = _("Resend")
    title = _("Resend this message?")
    title_selected = _("Resend these messages?")
    leaving = ngettext_lazy(
        "%d message can be sent again now, as a new message:",
        "%d messages can be sent again now, as new messages:",
    )
    staying = _("These are not resent")
    done = ngettext_lazy("%d message was resent.", "%d messages were resent.")
    sends = True

    def why_not(self, message: Message) -> Text:
        reason = message.why_not_resendable()
        return gettext(reason) if reason else ""

    def why_refused(self, message: Message, user: Any) -> Text:
        return self.why_not(message) or _why_refused(message, user)

    def why_skip(self, message: Message, answers: dict[str, Any]) -> Text:
        """Skip a delivered message, unless the user has ticked the checkbox "again"."""
        if message.state == State.DELIVERED and not answers.get("again"):
            return _("It was delivered.")
        return self.why_not(message)

    def form(self, rows: list[Message], data: Any = None, *, many: bool) -> forms.Form:
        """Return the form, with a checkbox "again" if a message to resend was already delivered."""
        form = super().form(rows, data, many=many)
        delivered = sum(row.state == State.DELIVERED for row in rows if not self.why_not(row))
        if delivered:
            form.fields["again"] = _again_for_all(delivered) if many else _again()
        return form

    def do(self, message: Message, user: Model, answers: dict[str, Any]) -> Result:
        """Resend the message. In the result, `row` is the new row, or None if no row was stored.

        If a suspension would make the resend fail, send nothing, and store no row.
        """
        try:
            if reason := _why_held(message):
                return Result(problem=reason)
            row = resend(message, created_by=user)
        except InvalidSMSBackend:
            return Result(problem=gettext(ALIAS_UNUSABLE))
        except SMSError as error:
            return _failure(message, error)
        if row.state == State.QUEUED:
            text = _("This is the new message. It waits to be sent.")
        else:
            text = _("It was sent once more. This is the new message.")
        return Result(row, text, log=_log(message, row))


def _why_refused(message: Message, user: Any) -> Text:
    """Return why this package refuses a resend now (for example, because of a limit), or ""."""
    try:
        writer = RowWriter(sms_backends[message.alias], using=message._state.db, created_by=user)
        writer.validate(message.as_sms().replace(recipient=message.recipient))
    except InvalidSMSBackend:
        return gettext(ALIAS_UNUSABLE)
    except SMSError as error:
        return error.explain()
    return ""


def _why_held(message: Message) -> Text:
    """Return why a suspension would make a resend fail now; "" if there is no such suspension."""
    backend = sms_backends[message.alias]
    using = router.db_for_write(Message, instance=message)
    waits = bool(backend.queue)
    held = suspension_of(backend, message.fingerprint, using=using, waits=waits)
    return held.as_error().explain() if held else ""


def _again() -> forms.BooleanField:
    text = _("It was delivered. Tick the box if it is to be sent again anyway.")
    return forms.BooleanField(
        label=_("It was delivered. Send it again anyway."), error_messages={"required": text}
    )


def _again_for_all(delivered: int) -> forms.BooleanField:
    label = ngettext(
        "%d was delivered. Send it again anyway.",
        "%d were delivered. Send them again anyway.",
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
