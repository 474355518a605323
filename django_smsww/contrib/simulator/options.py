"""How a simulator is started."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Everything that can be chosen at the start; profiles can be changed later.

    ``pace`` is the time in seconds between two states of a message, ``drip`` the time between two
    bytes of a slow answer, ``latency`` what passes before any answer. ``store`` is the path of an
    SQLite file; without one a temporary file is used and removed. ``certificate`` is the path of a
    PEM file with a certificate and its key, to speak TLS.
    """

    port: int = 0
    store: str = ""
    pace: float = 0.5
    drip: float = 0.2
    latency: float = 0.0
    token: str = ""
    certificate: str = ""
    profiles: tuple[str, ...] = ()
    quiet: bool = True
    stop_with_parent: bool = False
