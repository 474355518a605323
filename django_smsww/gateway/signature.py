"""The signature that makes a delivery callback ours.

The gateway does not sign its callbacks, so each message carries a signature of its own reference
out, and the callback brings it back. Nothing has to be configured, `SECRET_KEY_FALLBACKS` rotate
it, and one that leaks speaks for a single message in a single environment.
"""

from __future__ import annotations

from uuid import UUID

from django.core.signing import BadSignature, Signer

HEADER = "X-SMSWW-Signature"

PROBE = UUID(int=0)
"""The reference of no message: a callback that bears it only asks whether callbacks arrive."""


def sign(reference: UUID, environment: str) -> str:
    """Return the signature of a reference, without the reference."""
    return _signer(environment).signature(str(reference))


def verify(reference: str, environment: str, signature: str) -> UUID | None:
    """Return the reference as a UUID if the signature is ours, else None."""
    try:
        _signer(environment).unsign(f"{reference}:{signature}")
        return UUID(reference)
    except (BadSignature, ValueError):  # ValueError: not text that can be encoded, or no UUID
        return None


def header_value(reference: UUID, environment: str) -> str:
    """Return what the callback's header holds, enough to name the row by itself."""
    return f"{environment}:{reference}:{sign(reference, environment)}"


def verify_header(value: str) -> tuple[UUID, str] | None:
    """Return (reference, environment) if the header's value is authentic, else None."""
    # From the right: an environment named after a host may hold a colon.
    environment, _, rest = value.rpartition(":")[0].rpartition(":")
    reference = verify(rest, environment, value.rpartition(":")[2])
    return (reference, environment) if reference else None


def _signer(environment: str) -> Signer:
    return Signer(salt=f"django_smsww.callback.{environment}")
