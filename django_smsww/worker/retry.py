"""Decide whether and when a message that was not sent is tried again."""

import random
from datetime import datetime, timedelta

from ..clock import database_now
from ..exceptions import ACCOUNT_ERRORS, SMSError, SMSLimited, SMSUnavailable
from ..models import Message

MAX_ATTEMPTS = 10
FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS = 30, 3600

SHORTEST_BACK_OFF_SECONDS, LONGEST_BACK_OFF_SECONDS = 5.0, 3600.0
"""The back-off after an HTTP 429 without a Retry-After, and the longest back-off after a 429."""


def may_retry(message: Message, error: SMSError, *, is_probe: bool = False) -> bool:
    """Return True if a queued message is tried again after this error."""
    was_not_sent = isinstance(error, SMSUnavailable | SMSLimited)
    return was_not_sent and _failures(message, error, is_probe) < MAX_ATTEMPTS


def retry_at(message: Message, error: SMSError, using: str, *, is_probe: bool = False) -> datetime:
    """Return the time of the next attempt, by the database's clock.

    The delay doubles with each failed attempt up to a maximum, and varies at random. The gateway
    may ask for a longer delay. The result is never later than the expiry of the message.
    """
    doublings = max(_failures(message, error, is_probe) - 1, 0)
    doubled = min(FIRST_DELAY_SECONDS * 2**doublings, LONGEST_DELAY_SECONDS)
    spread = doubled * random.uniform(0.5, 1.5)  # noqa: S311 - no secret
    delay = timedelta(seconds=max(error.retry_after or 0, spread))
    # Not later than the message expires, so that a worker fails it in time.
    return min(database_now(using) + delay, message.expires_at)


def _failures(message: Message, error: SMSError, is_probe: bool) -> int:
    """Return the number of failed attempts; 0 for a probe or an error of the account."""
    return 0 if is_probe or isinstance(error, ACCOUNT_ERRORS) else message.attempts


def is_unavailable(error: SMSError | None) -> bool:
    """Return True if the gateway was unavailable, and neither message nor account is at fault."""
    if not isinstance(error, SMSUnavailable) or isinstance(error, ACCOUNT_ERRORS):
        return False
    return error.status != 429 and error.code != "not_started"


def back_off_seconds(error: SMSError) -> float:
    """Return the seconds for which an HTTP 429 stops the account; 0.0 for every other error."""
    if not isinstance(error, SMSUnavailable) or error.status != 429:
        return 0.0
    return min(error.retry_after or SHORTEST_BACK_OFF_SECONDS, LONGEST_BACK_OFF_SECONDS)
