"""The signature by which we know that a delivery callback is ours.

The gateway does not sign its callbacks. So each message carries a stamp, its own reference and our
signature of it, and the callback brings the stamp back: once in its custom data and once in a
header, since a proxy may drop the header. You need not configure anything, and
`SECRET_KEY_FALLBACKS` rotate the key. A stamp that leaks is valid for one message in one
environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.core.signing import BadSignature, Signer

from ..sms import RESERVED_CUSTOM_KEY

HEADER = "X-SMSWW-Signature"

PROBE = UUID(int=0)
"""The reference of no message: a callback that bears it only asks whether callbacks arrive."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """The message that a stamp names. Ask `is_authentic` before you believe it."""

    reference: UUID
    environment: str
    signed: str = field(repr=False)  # the reference as it is spelled there, and its signature

    @property
    def is_authentic(self) -> bool:
        """Whether we signed this spelling of the reference, for this environment."""
        try:
            _signer(self.environment).unsign(self.signed)
        except (BadSignature, UnicodeEncodeError):
            return False
        return True


def sign(reference: UUID, environment: str) -> str:
    """Return the signature of a reference, without the reference."""
    return _signer(environment).signature(str(reference))


def custom_stamp(reference: UUID, environment: str) -> dict[str, Any]:
    """Return the stamp under its reserved key, as a message's custom data carries it."""
    stamp = {
        "reference": str(reference),
        "environment": environment,
        "signature": sign(reference, environment),
    }
    return {RESERVED_CUSTOM_KEY: stamp}


def header_stamp(reference: UUID, environment: str) -> dict[str, str]:
    """Return the stamp as the header of a callback; it names the row without the body."""
    return {HEADER: f"{environment}:{reference}:{sign(reference, environment)}"}


def read_custom_stamp(custom: Mapping[str, Any]) -> Stamp | None:
    """Return the stamp in custom data, or None if they name no message."""
    stamp = custom.get(RESERVED_CUSTOM_KEY)
    if not isinstance(stamp, Mapping):
        return None
    texts = [stamp.get(name) for name in ("environment", "reference", "signature")]
    return _stamp(*(text if isinstance(text, str) else "" for text in texts))


def read_header_stamp(value: str) -> Stamp | None:
    """Return the stamp in a header's value, or None if it names no message."""
    # From the right: an environment named after a host may hold a colon.
    environment, _, rest = value.rpartition(":")[0].rpartition(":")
    return _stamp(environment, rest, value.rpartition(":")[2])


def _stamp(environment: str, reference: str, signature: str) -> Stamp | None:
    try:
        return Stamp(UUID(reference), environment, f"{reference}:{signature}")
    except ValueError:
        return None


def _signer(environment: str) -> Signer:
    return Signer(salt=f"django_smsww.callback.{environment}")
