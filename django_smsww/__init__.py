"""Send SMS worldwide through the Openapi gateway, and keep a reliable history of the messages.

The public names are in `__all__`. Each name is imported when it is first used, so that Django can
import this package before the models are loaded.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .backends.handler import sms_backends as sms_backends
    from .callbacks.reports import apply_result as apply_result
    from .exceptions import AccessRefused as AccessRefused
    from .exceptions import AccountBlocklisted as AccountBlocklisted
    from .exceptions import ContentRefused as ContentRefused
    from .exceptions import InsufficientCredit as InsufficientCredit
    from .exceptions import InvalidSMS as InvalidSMS
    from .exceptions import InvalidSMSBackend as InvalidSMSBackend
    from .exceptions import InvalidToken as InvalidToken
    from .exceptions import SMSBackendDoesNotExist as SMSBackendDoesNotExist
    from .exceptions import SMSError as SMSError
    from .exceptions import SMSLimited as SMSLimited
    from .exceptions import SMSOutcomeUnknown as SMSOutcomeUnknown
    from .exceptions import SMSRefused as SMSRefused
    from .exceptions import SMSUnavailable as SMSUnavailable
    from .gateway.secret import Secret as Secret
    from .sending.api import asend_mass_sms as asend_mass_sms
    from .sending.api import asend_sms as asend_sms
    from .sending.api import iter_send as iter_send
    from .sending.api import send_mass_sms as send_mass_sms
    from .sending.api import send_messages as send_messages
    from .sending.api import send_sms as send_sms
    from .sending.rendering import render_sms as render_sms
    from .sms import SMS as SMS
    from .sms import SendResult as SendResult
    from .states import State as State

__version__ = "0.1.0"

_HOMES = {
    "sending.rendering": ("render_sms",),
    "exceptions": (
        "AccessRefused",
        "AccountBlocklisted",
        "ContentRefused",
        "InsufficientCredit",
        "InvalidSMS",
        "InvalidSMSBackend",
        "InvalidToken",
        "SMSBackendDoesNotExist",
        "SMSError",
        "SMSLimited",
        "SMSOutcomeUnknown",
        "SMSRefused",
        "SMSUnavailable",
    ),
    "backends.handler": ("sms_backends",),
    "callbacks.reports": ("apply_result",),
    "sms": ("SMS", "SendResult"),
    "gateway.secret": ("Secret",),
    "sending.api": (
        "asend_mass_sms",
        "asend_sms",
        "iter_send",
        "send_mass_sms",
        "send_messages",
        "send_sms",
    ),
    "states": ("State",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME_OF[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
