"""The errors of this package: one class for each way in which a caller can react."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext
from django.utils.translation.trans_null import gettext_noop as _

if TYPE_CHECKING:
    from .models import Message


class InvalidSMSBackend(ImproperlyConfigured):
    """An entry of the SMSWW setting cannot be used. The error text says what to correct."""

    def __init__(self, text: str, *, alias: str | None = None) -> None:
        super().__init__(text if alias is None else f"SMSWW[{alias!r}]: {text}")


class SMSBackendDoesNotExist(InvalidSMSBackend, KeyError):
    """The alias is not defined in the SMSWW setting."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        super().__init__(f"The SMS backend {alias!r} is not configured.")

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.alias,))  # its text alone would be taken for an alias

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError would quote it


class SMSError(Exception):
    """The base class of sending errors. The message was not accepted, or its outcome is unknown.

    You may log the error text: it never contains a token, or the number or text of a message.
    The error text is always in English. `explain` translates it.

    Attributes:
        message: the row of the message, or None if the call ended before a row was written.
        code: the provider's code, such as "2011", or a code of this package, such as "invalid".
        status: the HTTP status, or None.
        detail: the provider's text, shortened and without personal content.
        retry_after: seconds after which another attempt makes sense, or None.
    """

    code: str = "error"
    summary = _("The message was not accepted")
    remedy = ""
    """What to do about the error, in English, for logs and reports."""

    def __init__(
        self,
        text: str = "",
        *,
        params: Mapping[str, Any] | None = None,
        code: str = "",
        status: int | None = None,
        detail: str = "",
        retry_after: float | None = None,
    ) -> None:
        self._text = text or self.summary
        self._params = dict(params or {})
        super().__init__(self._filled(self._text))
        self.code = code or type(self).code
        self.status = status
        self.detail = detail
        self.retry_after = retry_after
        self.message: Message | None = None

    def __str__(self) -> str:
        facts = [f"code {self.code}"] if self.code != type(self).code else []
        facts += [f"HTTP {self.status}"] if self.status else []
        facts += [f"message {self.message.reference}"] if self.message else []
        text = str(self.args[0])
        return f"{text} ({', '.join(facts)})" if facts else text

    def explain(self) -> str:
        """Return the error text in the active language, without codes such as the HTTP status."""
        return self._filled(gettext(self._text))

    def _filled(self, text: str) -> str:
        return text % self._params if self._params else text

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the error without the row. So no task queue stores the number and the text."""
        state = {**self.__dict__, "message": None}
        return (type(self), self.args, state)


class InvalidSMS(SMSError, ValueError):
    """The validation of this package refused the message. No request was made."""

    code = "invalid"
    summary = _("The message is not valid")


class SMSLimited(SMSError):
    """The message was not sent, because a limit in the settings of this project is reached."""

    code = "limited"
    summary = _("A limit held the message back")


class SMSRefused(SMSError):
    """The provider refused this message, and would refuse the same message again."""

    code = "refused"
    summary = _("The gateway refused the message")


class ContentRefused(SMSRefused):
    """The provider refused forbidden content, and may charge a fine. No resend is possible."""

    code = "content"
    summary = _("The gateway refused the content of the message")


class SMSUnavailable(SMSError):
    """The message was certainly not sent, for a reason outside the message, such as the network."""

    code = "unavailable"
    summary = _("The gateway could not be reached; nothing was sent")
    remedy = (
        "One message a minute tests the gateway. If this lasts, check the gateway and the network."
    )

    def __init__(self, text: str = "", *, status: int | None = None, **facts: Any) -> None:
        if status and type(self) is SMSUnavailable:  # the gateway was reached
            self.summary = _("The gateway did not accept the message; nothing was sent")
        super().__init__(text, status=status, **facts)


class InvalidToken(SMSUnavailable):
    """The gateway refused the token. The token is wrong, expired, or made for another host."""

    code = "invalid_token"
    summary = _("The gateway refused the token; nothing was sent")
    remedy = "Correct the token, or the host."


class AccessRefused(SMSUnavailable):
    """The gateway or a firewall refuses every request, whatever the message.

    Possible causes: a token without the necessary scope, a wrong path in `host`, or a firewall.
    """

    code = "access_refused"
    summary = _("The gateway refuses the requests of this site; nothing was sent")
    remedy = "Check the scopes of the token, the host and its path, and firewalls in between."


class InsufficientCredit(SMSUnavailable):
    """The credit in the wallet of the account is too low for the message."""

    code = "insufficient_credit"
    summary = _("The wallet does not cover the message; nothing was sent")
    remedy = "Top up the wallet."


class AccountBlocklisted(SMSUnavailable):
    """The provider has blocked the account. Only the provider's support can unblock the account."""

    code = "account_blocklisted"
    summary = _("The account is blocklisted; nothing was sent")
    remedy = "Ask the gateway's support to unblock it, then run smsww_resume."


ACCOUNT_ERRORS = (InvalidToken, AccessRefused, InsufficientCredit, AccountBlocklisted)
"""Errors of the account or of the settings. Every other message would fail with the same error."""


class SMSOutcomeUnknown(SMSError):
    """No clear answer came: the message may have been sent.

    Before you resend the message, find out what happened: run `smsww_sync`, or settle the message
    in the admin.
    """

    code = "outcome_unknown"
    summary = _("There was no clear answer: the message may have been sent")


_KINDS: dict[str, type[SMSError]] = {
    kind.__name__: kind
    for kind in (
        InvalidSMS,
        SMSLimited,
        SMSRefused,
        ContentRefused,
        SMSUnavailable,
        *ACCOUNT_ERRORS,
        SMSOutcomeUnknown,
    )
}


def error_kind(name: str) -> type[SMSError]:
    """Return the error class with this name, or SMSError if the name is unknown."""
    return _KINDS.get(name, SMSError)


def kinds_of(*bases: type[SMSError]) -> list[str]:
    """Return the names of these error classes and of their subclasses."""
    return [name for name, kind in _KINDS.items() if issubclass(kind, bases)]
