"""The endpoints of the account service: wallet and tokens."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from .clock import iso, new_id, now
from .context import Context
from .http import Request, Response, json_response

_PAGE = 100
_LONGEST_TTL = 365 * 24 * 60 * 60


class AccountEndpoints:
    """The endpoints of the account service, as in its specification 2.1.0."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def wallet(self, request: Request) -> Response:
        self._context.authenticator.check_basic(request)
        wallet = self._context.wallet
        times = {"createdAt": iso(wallet.created), "updatedAt": iso(now())}
        return json_response({"data": {"credit": float(wallet.credit), **times}})

    def create_token(self, request: Request) -> Response:
        """Answer POST /tokens. Unlike other answers, this answer is not wrapped in ``data``."""
        self._context.authenticator.check_basic(request)
        detail = _new_token(request.fields())
        expires = datetime.fromisoformat(detail["expireAt"]).timestamp()
        self._context.store.insert(
            "tokens", token=detail["token"], expires=expires, detail=json.dumps(detail)
        )
        return json_response(detail)

    def tokens(self, request: Request) -> Response:
        self._context.authenticator.check_basic(request)
        skip = request.number("skip", 0)
        limit = request.number("limit", _PAGE, maximum=_PAGE)
        rows = self._context.store.rows("SELECT detail FROM tokens LIMIT ? OFFSET ?", limit, skip)
        return json_response({"data": [json.loads(row["detail"]) for row in rows]})


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
        "scopes": payload.get("scopes", []),
        "refreshToken": new_id(),
        "limits": payload.get("limits", {}),
        "stats": {},
    }
