"""Ask the control endpoints of a running simulator; no proxy, for it is on this machine."""

from __future__ import annotations

import json
import ssl
from typing import Any
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

# The environment's proxy may be set for the real gateway, and this never leaves the machine. Nor
# is there a name to verify: it is a process of ours, whatever its certificate is for.
_opener = build_opener(ProxyHandler({}), HTTPSHandler(context=ssl._create_unverified_context()))  # noqa: S323


def ask(url: str, name: str, payload: dict[str, Any] | None = None) -> Any:
    """GET an endpoint below /_simulator/, or POST a payload to it; return its JSON.

    Raises:
        OSError: nothing answers there; `urllib.error.HTTPError`, which is one, if it refuses.
    """
    body = None if payload is None else json.dumps(payload).encode()
    headers = {"Content-Type": "application/json"}
    request = Request(f"{url}/_simulator/{name}", body, headers)  # noqa: S310  http on loopback
    with _opener.open(request, timeout=30) as response:
        return json.load(response)
