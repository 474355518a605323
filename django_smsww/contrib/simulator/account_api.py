"""The account host: money and tokens."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from .clock import iso, new_id, now
from .http import Request, Response, json_response, platform_error
from .world import World

_PAGE = 100
_LONGEST_TTL = 365 * 24 * 60 * 60
_SCOPE = "POST:sms.openapi.com/WW-messages"
_DOMAIN = "sms.openapi.com"


class Account:
    """Answers in the shapes of the account service's specification 2.1.0."""

    def __init__(self, world: World) -> None:
        self._world = world

    def wallet(self, request: Request) -> Response:
        """Answer GET /wallet."""
        wallet = self._world.wallet
        return self._data(
            {
                "credit": float(wallet.credit),
                "createdAt": iso(wallet.created),
                "updatedAt": iso(now()),
            }
        )

    def transactions(self, request: Request) -> Response:
        """Answer GET /wallet/transactions."""
        return self._data(self._world.wallet.transactions(*_slice(request)))

    def subscriptions(self, request: Request) -> Response:
        """Answer GET /subscriptions: the bundle, while it has ever held anything."""
        if "id" in request.query:
            return self.subscription(request, request.query["id"])
        subscription = self._subscription()
        names = ("id", "scope", "active", "availableRequests", "startsAt", "expiresAt")
        listed = [{name: subscription[name] for name in names}] if subscription else []
        return self._data([each for each in listed if _is_wanted(request, each["scope"])])

    def subscription(self, request: Request, wanted: str) -> Response:
        """Answer GET /subscriptions/{id}."""
        subscription = self._subscription()
        if subscription is None or subscription["id"] != wanted:
            raise platform_error(404, "Subscription not found", 220)
        return self._data(subscription)

    def create_token(self, request: Request) -> Response:
        """Answer POST /tokens: documented bare, seen wrapped."""
        payload = request.json()
        _check_scopes(payload)
        detail = _new_token(payload)
        self._world.store.execute(
            "INSERT INTO tokens VALUES (?, ?, ?)",
            detail["token"],
            datetime.fromisoformat(detail["expireAt"]).timestamp(),
            json.dumps(detail),
        )
        if "tokens-wrapped" in self._world.profiles:
            return json_response({"data": detail})
        return json_response(detail)

    def tokens(self, request: Request) -> Response:
        """Answer GET /tokens."""
        skip, limit = _slice(request)
        rows = self._world.store.rows("SELECT detail FROM tokens LIMIT ? OFFSET ?", limit, skip)
        return self._data([json.loads(row["detail"]) for row in rows])

    def token(self, request: Request, token: str) -> Response:
        """Answer GET /tokens/{token}."""
        row = self._world.store.row("SELECT detail FROM tokens WHERE token = ?", token)
        if row is None:
            raise platform_error(404, "Not Found", 120)
        return self._data(json.loads(row["detail"]))

    def delete_token(self, request: Request, token: str) -> Response:
        """Answer DELETE /tokens/{token}; the token is refused from now on."""
        changed = self._world.store.execute(
            "UPDATE tokens SET expires = 0 WHERE token = ? AND expires > 0", token
        )
        if not changed.rowcount:
            raise platform_error(404, "Not Found", 180)
        return json_response({"message": "Deleted", "data": None})

    def _subscription(self) -> dict[str, Any] | None:
        wallet, total = self._world.wallet, self._world.options.bundle
        if not total:
            return None
        return {
            "id": f"{int(wallet.created):024x}",
            "scope": _SCOPE,
            "domain": _DOMAIN,
            "active": wallet.bundle > 0,
            "startsAt": iso(wallet.created),
            "expiresAt": iso(wallet.created + _LONGEST_TTL),
            "totalRequests": str(total),
            "availableRequests": str(wallet.bundle),
            "pricePerRequest": 0.04,
            "type": "year",
            "autorenew": False,
            "createdAt": iso(wallet.created),
            "updatedAt": iso(now()),
            "price": total * 0.04,
        }

    def _data(self, payload: Any) -> Response:
        return json_response({"data": payload})


def _slice(request: Request) -> tuple[int, int]:
    return request.number("skip", 0), request.number("limit", _PAGE, maximum=_PAGE)


def _is_wanted(request: Request, scope: str) -> bool:
    wanted = request.query.get("scopes", "")
    return not wanted or scope in wanted.split(",")


def _check_scopes(payload: Any) -> None:
    scopes = payload.get("scopes") if isinstance(payload, dict) else None
    if not scopes:
        raise platform_error(422, "missing scopes array", 70)
    if not isinstance(scopes, list) or not all(isinstance(scope, str) for scope in scopes):
        raise platform_error(422, "invalid scopes format", 80)
    if not all(scope.partition(":")[2].partition("/")[2] for scope in scopes):
        raise platform_error(422, "Invalid scopes specified or API not enabled", 90)


def _new_token(payload: dict[str, Any]) -> dict[str, Any]:
    ttl = payload.get("ttl")
    seconds = ttl if type(ttl) is int and 0 < ttl < _LONGEST_TTL else _LONGEST_TTL
    created = datetime.now(UTC)
    return {
        "token": new_id(),
        "name": payload.get("name", ""),
        "createdAt": created.isoformat(),
        "expireAt": (created + timedelta(seconds=seconds)).isoformat(),
        "updatedAt": created.isoformat(),
        "scopes": payload["scopes"],
        "refreshToken": new_id(),
        "limits": payload.get("limits", {}),
        "stats": {},
    }
