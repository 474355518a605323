"""Which endpoint answers which request."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from .account_api import Account
from .control import Control
from .http import Refusal, Request, Response, platform_error
from .sms_api import Gateway
from .world import World

Endpoint = Callable[..., Response]
_Route = tuple[str, re.Pattern[str], Endpoint]


class Routes:
    """All paths on one port: the SMS service, the account service, and control."""

    def __init__(self, world: World) -> None:
        self._world = world
        gateway, account, control = Gateway(world), Account(world), Control(world)
        self._routes: list[_Route] = [
            _route("POST", r"/(WW|IT|ES)-messages", gateway.send),
            _route("GET", r"/messages", gateway.list),
            _route("GET", r"/messages/([^/]+)", gateway.get),
            _route("GET", r"/_simulator/([a-z]+)", control.answer),
            _route("POST", r"/_simulator/([a-z]+)", control.answer),
            *(_route(method, path, self._basic(call)) for method, path, call in _account(account)),
        ]

    def answer(self, request: Request) -> Response:
        """Find the endpoint and let it answer; a refusal is an answer too."""
        if self._world.options.latency:
            time.sleep(self._world.options.latency)
        try:
            for method, pattern, endpoint in self._routes:
                match = pattern.fullmatch(request.path)
                if match and method == request.method:
                    return endpoint(request, *match.groups())
            raise platform_error(404, "Not Found")
        except Refusal as refusal:
            return refusal.response

    def _basic(self, endpoint: Endpoint) -> Endpoint:
        def guarded(request: Request, *arguments: Any) -> Response:
            self._world.doorkeeper.check_basic(request)
            return endpoint(request, *arguments)

        return guarded


def _route(method: str, path: str, endpoint: Endpoint) -> _Route:
    return method, re.compile(path), endpoint


def _account(account: Account) -> list[tuple[str, str, Endpoint]]:
    return [
        ("GET", r"/wallet", account.wallet),
        ("POST", r"/tokens", account.create_token),
        ("GET", r"/tokens", account.tokens),
    ]
