"""Who may ask: a Bearer token for the SMS service, Basic for the account, loopback for control."""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress

from .clock import now
from .http import Refusal, Request, Response, json_response, platform_envelope, platform_error
from .profiles import Profiles
from .store import Store

WRONG = "wrong"
_XML = b'<?xml version="1.0"?><error><status>401</status><message>Wrong Token</message></error>'


class Doorkeeper:
    """Checks credentials; the one called "wrong" is always wrong, so that 401 can be tried."""

    def __init__(self, store: Store, profiles: Profiles, token: str) -> None:
        self._store, self._profiles, self._token = store, profiles, token

    def check_bearer(self, request: Request) -> None:
        """Require a Bearer token that is ours, or any where none was configured."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token or " " in token or not self._is_valid(token):
            raise Refusal(self._wrong_token())

    def check_basic(self, request: Request) -> None:
        """Require an e-mail address and an API key, as the account host does."""
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

    def _wrong_token(self) -> Response:
        if "empty-401" in self._profiles:
            return Response(401)
        if "xml-401" in self._profiles:
            return Response(401, _XML, "application/xml")
        return json_response(platform_envelope("Wrong Token"), 401)


def check_local(request: Request) -> None:
    """Require a caller on this machine who means this machine.

    The host name is looked at as well, so that no web page can reach the control endpoints by
    giving its own name the address of loopback.
    """
    host = request.headers.get("Host", "").rsplit(":", 1)[0].strip("[]")
    if not _is_loopback(request.client) or not (host == "localhost" or _is_loopback(host)):
        raise platform_error(403, "The simulator is controlled from its own machine only.")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
