"""Authentication of requests to the simulator."""

import base64
import binascii
import hmac

from .clock import now
from .http import Request, is_loopback, platform_error
from .store import SQLiteStore

WRONG = "wrong"


class Authenticator:
    """Checks credentials. The token "wrong" and the API key "wrong" are never valid."""

    def __init__(self, store: SQLiteStore, token: str) -> None:
        self._store, self._token = store, token

    def check_bearer(self, request: Request) -> None:
        """Require the configured token, or a token made by POST /tokens. Otherwise answer 401.

        If no token is configured, every token is valid except "wrong" and expired tokens.
        """
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token or " " in token or not self._is_valid(token):
            raise platform_error(401, "Wrong Token")

    def check_basic(self, request: Request) -> None:
        """Require HTTP Basic with an e-mail address and an API key. Otherwise answer 401."""
        scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
        try:
            email, _, key = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            email = key = ""
        if scheme.lower() != "basic" or "@" not in email or key in ("", WRONG):
            raise platform_error(401, "Unauthorized", 130)

    def _is_valid(self, token: str) -> bool:
        if token == WRONG:
            return False
        made = self._store.row("SELECT expires FROM tokens WHERE token = ?", token)
        if made is not None:
            return bool(made["expires"] > now())
        return not self._token or hmac.compare_digest(self._token.encode(), token.encode())


def check_local(request: Request) -> None:
    """Require a request from this machine, with a name of this machine in the header ``Host``.

    Without the check of ``Host``, a web page could point its own domain to 127.0.0.1 (DNS
    rebinding), and reach the control endpoints from the developer's browser.
    """
    host = request.headers.get("Host", "").rsplit(":", 1)[0].strip("[]")
    if not is_loopback(request.client) or not (host == "localhost" or is_loopback(host)):
        raise platform_error(403, "The simulator is controlled from its own machine only.")
