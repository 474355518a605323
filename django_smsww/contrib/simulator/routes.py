"""The routes of the simulator: which endpoint answers which method and path."""

import re
import time
from collections.abc import Callable

from .account_api import AccountEndpoints
from .context import Context
from .control import ControlEndpoints
from .http import Refusal, Request, Response, compressed, platform_error
from .sms_api import SMSEndpoints

Endpoint = Callable[..., Response]


class Routes:
    """The routes of the SMS service, the account service and the control endpoints."""

    def __init__(self, context: Context) -> None:
        self._context = context
        sms, account = SMSEndpoints(context), AccountEndpoints(context)
        control = ControlEndpoints(context)
        self._routes: list[tuple[str, re.Pattern[str], Endpoint]] = [
            ("POST", re.compile(r"/(WW|IT|ES)-messages"), sms.send),
            ("GET", re.compile(r"/messages"), sms.list),
            ("GET", re.compile(r"/messages/([^/]+)"), sms.get),
            ("GET", re.compile(r"/_simulator/([a-z]+)"), control.answer),
            ("POST", re.compile(r"/_simulator/([a-z]+)"), control.answer),
            ("GET", re.compile(r"/wallet"), account.wallet),
            ("POST", re.compile(r"/tokens"), account.create_token),
            ("GET", re.compile(r"/tokens"), account.tokens),
        ]

    def answer(self, request: Request) -> Response:
        """Return the endpoint's response. The profiles "gzip" and "deflate" compress it."""
        if self._context.options.latency:
            time.sleep(self._context.options.latency)
        response = self._answer(request)
        is_control = request.path.startswith("/_simulator/")
        return response if is_control else compressed(response, self._context.profiles)

    def _answer(self, request: Request) -> Response:
        try:
            for method, pattern, endpoint in self._routes:
                match = pattern.fullmatch(request.path)
                if match and method == request.method:
                    return endpoint(request, *match.groups())
            raise platform_error(404, "Not Found")
        except Refusal as refusal:
            return refusal.response
