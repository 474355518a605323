"""A pytest plugin. pytest loads it wherever this package is installed.

During a test run, messages go to the outbox, which is empty when a test starts. The plugin also
works without Django: only its fixtures `smsoutbox` and `sms_callback` import Django.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from ..test_runs import declared, start_afresh

if TYPE_CHECKING:
    from ..backends.locmem import SentSMS


@pytest.fixture(scope="session", autouse=True)
def _smsww_test_run() -> Iterator[None]:
    with declared():  # for projects without pytest-django
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
    """A function that reports a delivery: `sms_callback(message, "DELIVERED")`."""
    from .deliveries import sms_callback

    return sms_callback
