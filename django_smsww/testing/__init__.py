"""Helpers for the tests of a project.

`outbox` is the list of the messages that tests have sent, and `assert_sms_sent` searches it.
`sms_callback` reports a delivery as the gateway would. `SMSTestMixin` adds `smsoutbox`,
`assertSMSSent` and `sms_callback` to a TestCase. With pytest, use the fixtures `smsoutbox` and
`sms_callback`. Inside `real_sms()`, messages are really sent. `SMSBackendTestMixin` tests your own
backend.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..backends.locmem import SentSMS as SentSMS
    from ..backends.locmem import outbox as outbox
    from .assertions import assert_sms_sent as assert_sms_sent
    from .cases import SMSTestMixin as SMSTestMixin
    from .contract import SMSBackendTestMixin as SMSBackendTestMixin
    from .deliveries import sms_callback as sms_callback
    from .real import real_sms as real_sms

_HOMES = {
    "SMSBackendTestMixin": ".contract",
    "SMSTestMixin": ".cases",
    "SentSMS": "..backends.locmem",
    "assert_sms_sent": ".assertions",
    "outbox": "..backends.locmem",
    "real_sms": ".real",
    "sms_callback": ".deliveries",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Imported late, because pytest loads the plugin beside this file for all projects.
    return getattr(import_module(_HOMES[name], __name__), name)
