"""Sign the reference of each message, to recognise the gateway's callbacks about our messages.

The gateway does not sign its callbacks. So we send a stamp with each message: the reference (a
UUID) of the message, and our signature of this reference. A callback returns the stamp twice: in
the custom data, and in a header. A proxy may drop the header. We sign with the project's
SECRET_KEY; the keys in `SECRET_KEY_FALLBACKS` are also accepted. A leaked stamp is valid for one
message in one environment.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.core.signing import BadSignature, Signer

from ..sms import RESERVED_CUSTOM_KEY

HEADER = "X-SMSWW-Signature"

PROBE = UUID(int=0)
"""The reference in a callback that only tests whether callbacks arrive.

No message has this reference.
"""


@dataclass(frozen=True, slots=True)
class Stamp:
    """A reference and its signature. Check `is_authentic` before you trust the reference."""

    reference: UUID
    environment: str
    signed: str = field(repr=False)  # the reference as spelled in the stamp, and its signature

    @property
    def is_authentic(self) -> bool:
        """Whether we signed exactly this reference, for this environment."""
        try:
            _signer(self.environment).unsign(self.signed)
        except (BadSignature, UnicodeEncodeError):
            return False
        return True


def sign(reference: UUID, environment: str) -> str:
    return _signer(environment).signature(str(reference))


def custom_stamp(reference: UUID, environment: str, signature: str = "") -> dict[str, Any]:
    """Return the stamp as custom data. If `signature` is empty, sign the reference."""
    stamp = {
        "reference": str(reference),
        "environment": environment,
        "signature": signature or sign(reference, environment),
    }
    return {RESERVED_CUSTOM_KEY: stamp}


def header_stamp(reference: UUID, environment: str, signature: str = "") -> dict[str, str]:
    """Return the stamp as an HTTP header, which can be read before the body of the callback."""
    return {HEADER: f"{environment}:{reference}:{signature or sign(reference, environment)}"}


def read_custom_stamp(custom: Mapping[str, Any]) -> Stamp | None:
    stamp = custom.get(RESERVED_CUSTOM_KEY)
    if not isinstance(stamp, Mapping):
        return None
    texts = [stamp.get(name) for name in ("environment", "reference", "signature")]
    return _stamp(*(text if isinstance(text, str) else "" for text in texts))


def read_header_stamp(value: str) -> Stamp | None:
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
