"""Times and identifiers in the formats of the gateway."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime


def now() -> float:
    return time.time()


def iso(moment: float) -> str:
    """Write a moment as ISO 8601 in UTC, with microseconds."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="microseconds")


def new_id() -> str:
    """Return 24 hexadecimal digits: the seconds, then random ones."""
    return f"{int(time.time()):08x}{secrets.token_hex(8)}"


def new_number() -> str:
    """Return 19 digits that a signed integer of 64 bits can hold."""
    return str(10**18 + secrets.randbelow(8 * 10**18))
