"""Post one callback. Callbacks go only to addresses of this machine."""

import http.client
import json
import socket
from typing import Any
from urllib.parse import SplitResult, urlencode, urlsplit

from .http import is_loopback
from .messages import Document, show
from .profiles import Profiles

TIMEOUT_SECONDS = 30  # by the gateway's specification 1.2.7
_OWN_HEADERS = {"content-type", "content-length", "host", "transfer-encoding", "connection"}


def may_post_to(url: str) -> bool:
    """Return True if the URL leads to this machine. The function makes no DNS look-up."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    return host in ("localhost", socket.gethostname().lower()) or is_loopback(host)


def post_callback(document: Document, profiles: Profiles) -> int:
    """Post the message object to the callback URL of the message.

    Return the status of the answer, or 0 if there is no answer.
    """
    callback = document["callback"]
    content_type, body = build_body(document, profiles)
    headers = {"Content-Type": content_type}
    if "headers-not-sent" not in profiles:
        asked = callback.get("headers", {}).items()
        headers |= {name: value for name, value in asked if name.lower() not in _OWN_HEADERS}
    try:
        return _post(urlsplit(callback["url"]), body, headers)
    except (OSError, http.client.HTTPException, ValueError):
        return 0


def build_body(document: Document, profiles: Profiles) -> tuple[str, bytes]:
    """Return the content type and the body of a callback. Both depend on the active profiles."""
    callback = document["callback"]
    payload, custom = build_payload(document, profiles)
    if callback["method"] == "JSON":
        return "application/json", json.dumps(payload).encode("ascii")
    fields = {callback["field"]: json.dumps(payload)}
    if "payload-nested" not in profiles and "payload-flat" not in profiles:
        fields = {callback["field"]: json.dumps(payload["data"]), "custom": json.dumps(custom)}
    return "application/x-www-form-urlencoded", urlencode(fields).encode("ascii")


def build_payload(document: Document, profiles: Profiles) -> tuple[Any, Any]:
    """Return the payload and the custom data of a callback. The custom data can be None."""
    message = show(document, profiles)
    custom = document["callback"].get("custom")
    if "custom-not-echoed" in profiles:
        custom = None
    if "payload-flat" in profiles:
        # The callback is the only place for custom in a flat payload.
        own = {} if "custom-not-echoed" in profiles else {"callback": document["callback"]}
        return message | own, custom
    payload = {"data": message, "custom": custom}
    return ({"data": payload} if "payload-nested" in profiles else payload), custom


def _post(url: SplitResult, body: bytes, headers: dict[str, str]) -> int:
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(url.hostname or "", url.port, timeout=TIMEOUT_SECONDS)
    try:
        target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        connection.request("POST", target, body, headers)
        response = connection.getresponse()
        response.read(65536)
        return response.status
    finally:
        connection.close()
