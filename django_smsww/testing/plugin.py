"""A pytest plugin, active wherever the package is installed.

No message leaves during the whole run, as with Django's mail, and each test starts with no
messages. Without Django it imports and costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from ..test_runs import declared
from .isolation import start_afresh

if TYPE_CHECKING:
    from ..backends.locmem import SentSMS


@pytest.fixture(scope="session", autouse=True)
def _smsww_test_run() -> Iterator[None]:
    with declared():  # projects without pytest-django have no mark of Django's
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
