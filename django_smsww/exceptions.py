"""The errors of this package: each class is a decision that a caller can take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext
from django.utils.translation.trans_null import gettext_noop as _

if TYPE_CHECKING:
    from .models import Message


class InvalidSMSBackend(ImproperlyConfigured):
    """An entry of the SMSWW setting cannot be used. The text names the alias and the remedy."""

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
    """A message was not accepted.

    The text never holds a number, a body or a token, so you may log it. In logs and on rows it is
    always English; `explain` returns it in the active language.

    Attributes:
        message: the row, or None where the call ended before there was one.
        code: the provider's code ("2011") or, where it gave none, a word of ours.
        status: the HTTP status, or None.
        detail: the provider's words, bounded and without personal content.
        retry_after: seconds after which another attempt makes sense, or None.
    """

    code: str = "error"
    summary = _("The message was not accepted")
    remedy = ""
    """What to do, in English, for logs and reports."""

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
        """Return the text without its codes, in the language that is active."""
        return self._filled(gettext(self._text))

    def _filled(self, text: str) -> str:
        return text % self._params if self._params else text

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without the row: a queue's result backend must not get numbers and bodies."""
        state = {**self.__dict__, "message": None}
        return (type(self), self.args, state)


class InvalidSMS(SMSError, ValueError):
    """Our own validation refused the message, before any row or request."""

    code = "invalid"
    summary = _("The message is not valid")


class SMSLimited(SMSError):
    """A limit of this project held the message back. Nothing was sent."""

    code = "limited"
    summary = _("A limit held the message back")


class SMSRefused(SMSError):
    """The provider refused this message, and would refuse it again as it is."""

    code = "refused"
    summary = _("The gateway refused the message")


class ContentRefused(SMSRefused):
    """Forbidden content. It may have cost a fine; it can never be resent as it is."""

    code = "content"
    summary = _("The gateway refused the content of the message")


class SMSUnavailable(SMSError):
    """The message was certainly not sent, and is not at fault."""

    code = "unavailable"
    summary = _("The gateway could not be reached; nothing was sent")
    remedy = (
        "One message a minute tests the gateway. If this lasts, check the gateway and the network."
    )

    def __init__(self, text: str = "", *, status: int | None = None, **facts: Any) -> None:
        if status and not text and type(self) is SMSUnavailable:  # it was reached, as it answered
            text = _("The gateway did not take the message; nothing was sent")
        super().__init__(text, status=status, **facts)


class InvalidToken(SMSUnavailable):
    """The token was refused: wrong, expired, or one of the other environment."""

    code = "invalid_token"
    summary = _("The gateway refused the token; nothing was sent")
    remedy = "Correct the token, or the host."


class AccessRefused(SMSUnavailable):
    """The gateway, or a firewall before it, refuses this configuration, and not this message.

    Causes are a token without the scope, a wrong path in the host, or a firewall.
    """

    code = "access_refused"
    summary = _("The gateway refuses the requests of this site; nothing was sent")
    remedy = "Check the scopes of the token, the host and its path, and firewalls in between."


class InsufficientCredit(SMSUnavailable):
    """The wallet does not cover the message."""

    code = "insufficient_credit"
    summary = _("The wallet does not cover the message; nothing was sent")
    remedy = "Top up the wallet."


class AccountBlocklisted(SMSUnavailable):
    """The account is blocked; only the provider's support can lift that."""

    code = "account_blocklisted"
    summary = _("The account is blocklisted; nothing was sent")
    remedy = "Ask the gateway's support to unblock it, then run smsww_resume."


ACCOUNT_ERRORS = (InvalidToken, AccessRefused, InsufficientCredit, AccountBlocklisted)
"""Errors of the account or the configuration: each message would fail like this one."""


class SMSOutcomeUnknown(SMSError):
    """The message may have been sent: no answer says. Look it up before you send it again."""

    code = "outcome_unknown"
    summary = _("No answer says whether the message was sent")


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
    """Return the class that a row names in its `error` field; an unknown name gives SMSError."""
    return _KINDS.get(name, SMSError)


def kinds_of(*bases: type[SMSError]) -> list[str]:
    """Return the names under which errors of these classes are kept on rows."""
    return [name for name, kind in _KINDS.items() if issubclass(kind, bases)]
