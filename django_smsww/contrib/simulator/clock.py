"""Times and identifiers in the formats of the gateway."""

import secrets
import time
from datetime import UTC, datetime


def now() -> float:
    return time.time()


def iso(moment: float) -> str:
    """Return a Unix time as ISO 8601 text in UTC, with microseconds."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="microseconds")


def new_id() -> str:
    """Return 24 hexadecimal digits: 8 for the current time in seconds, and 16 random digits."""
    return f"{int(time.time()):08x}{secrets.token_hex(8)}"


def new_number() -> str:
    """Return a random number of 19 digits. It fits into a signed integer of 64 bits."""
    return str(10**18 + secrets.randbelow(8 * 10**18))
