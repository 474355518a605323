"""Helpers for the tests of a project.

`outbox` is the list of the messages that were sent through locmem, `assert_sms_sent` looks into it,
`sms_callback` reports a delivery as the gateway would, and `SMSTestMixin` brings all of it to a
TestCase. With pytest the plugin offers `smsoutbox` and `sms_callback` as fixtures. `real_sms` lets
messages leave. `SMSBackendTestMixin` tests a backend of your own.
"""

from __future__ import annotations

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
    # Late, because pytest loads the plugin beside this file in every project of the machine.
    return getattr(import_module(_HOMES[name], __name__), name)
