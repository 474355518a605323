"""A pytest plugin, active wherever the package is installed.

Every alias is switched to locmem for the whole run, as Django does for mail, and each test starts
with no messages. Without Django, or without the setting SMSWW, it imports and costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from .isolation import all_at_locmem, has_aliases, start_afresh

if TYPE_CHECKING:
    from ..backends.locmem import SentSMS


@pytest.fixture(scope="session", autouse=True)
def _smsww_at_locmem() -> Iterator[None]:
    if not has_aliases():
        yield
        return
    with all_at_locmem():  # overrides of a test come on top
        yield


@pytest.fixture(autouse=True)
def _smsww_afresh() -> None:
    start_afresh()


@pytest.fixture
def smsoutbox(_smsww_afresh: None) -> list[SentSMS]:
    """The messages that were sent during this test, oldest first."""
    from ..backends.locmem import outbox  # late, see above

    return outbox


@pytest.fixture
def sms_callback() -> Callable[..., Any]:
    """Report a delivery as the gateway would: `sms_callback(message, "DELIVERED")`."""
    from .deliveries import sms_callback

    return sms_callback
