"""The control endpoints below /_simulator/: tests read the records, and choose what happens next.

Only requests from this machine are accepted. A POST needs ``Content-Type: application/json``. Web
pages of other sites cannot send this header, so they cannot control the simulator.
"""

from collections import deque
from collections.abc import Callable, Collection
from decimal import Decimal, InvalidOperation
from typing import Any

from .auth import check_local
from .behaviours import TEST_NUMBERS
from .context import Context
from .http import CONNECTION_FAULTS, Request, Response, json_response, platform_error
from .profiles import UnknownProfileError
from .records import FINAL_STATES, AcceptedMessage

STATES = ("PENDING", *FINAL_STATES)
CALLBACKS = ("true", "lost", "twice", "late")
"""The keys of `callbacks.VARIANTS` that the endpoints `decide` and `repeat` accept."""

_ENDINGS: dict[Any, Collection[str]] = {
    **dict.fromkeys(("GET", "POST"), TEST_NUMBERS),
    "CONNECT": CONNECTION_FAULTS,
}
_MOST_SHOWN = 300


class ControlEndpoints:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._endpoints: dict[tuple[str, str], Callable[[Request], Response]] = {
            ("GET", "ledger"): self.ledger,
            ("GET", "requests"): self.requests,
            ("GET", "idle"): self.idle,
            ("GET", "messages"): self.messages,
            ("POST", "profile"): self.set_profile,
            ("POST", "account"): self.set_account,
            ("POST", "next"): self.arm,
            ("POST", "reset"): self.reset,
            ("POST", "hold"): self.hold,
            ("POST", "decide"): self.decide,
            ("POST", "repeat"): self.repeat,
        }

    def answer(self, request: Request, name: str) -> Response:
        check_local(request)
        endpoint = self._endpoints.get((request.method, name))
        if endpoint is None:
            raise platform_error(404, "Not Found")
        return endpoint(request)

    def ledger(self, request: Request) -> Response:
        return json_response(self._context.ledger.statement())

    def requests(self, request: Request) -> Response:
        return json_response(self._context.request_log.statement())

    def idle(self, request: Request) -> Response:
        """Return the sum of two counts: unfinished callbacks, and messages that will change."""
        row = self._context.store.row(
            "SELECT (SELECT count(*) FROM messages WHERE steps != '[]')"
            " + (SELECT count(*) FROM callbacks WHERE completed IS NULL)"
        )
        return json_response({"waiting": row[0] if row else 0})

    def set_profile(self, request: Request) -> Response:
        """Activate the profiles in {"profiles": [...]}, and deactivate all others."""
        names = request.fields().get("profiles")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise platform_error(422, "profiles must be a list of names")
        try:
            self._context.profiles.replace(names)
        except UnknownProfileError as error:
            raise platform_error(422, str(error)) from error
        return json_response({"profiles": self._context.profiles.names()})

    def set_account(self, request: Request) -> Response:
        """Set the credit (EUR), or block the account: {"credit": "5.00", "blocklisted": true}."""
        wallet = self._context.wallet
        for name, value in request.fields().items():
            if name not in ("credit", "blocklisted"):
                raise platform_error(422, f"{name} is not a value of the account")
            try:
                wallet.set(name, Decimal(str(value)) if name == "credit" else value)
            except (InvalidOperation, TypeError, ValueError):
                raise platform_error(422, f"{name} must be a number") from None
        return json_response({"credit": str(wallet.credit), "blocklisted": wallet.is_blocklisted})

    def arm(self, request: Request) -> Response:
        """Choose how the simulator answers the next requests.

        With {"ending": "914", "times": 2, "method": "POST"}, the next two POST requests are
        answered as if the recipient ended in 914. "GET" selects the requests that read messages.
        With "CONNECT", the next connections break, and "ending" is one of CONNECTION_FAULTS.
        """
        fields = {"times": 1, "method": "POST", **request.fields()}
        if fields.get("ending") not in _ENDINGS.get(fields["method"], ()):
            raise platform_error(
                422, "ending must be a test number with GET or POST, a fault with CONNECT"
            )
        if type(fields["times"]) is not int or not 0 < fields["times"] <= 10_000:
            raise platform_error(422, "times must be between 1 and 10000")
        armed = self._context.armed
        armed.setdefault(fields["method"], deque()).extend([fields["ending"]] * fields["times"])
        return json_response({method: list(endings) for method, endings in armed.items()})

    def reset(self, request: Request) -> Response:
        request.fields()
        self._context.reset()
        return json_response({"reset": True})

    # Outcomes that a person or a test decides.

    def messages(self, request: Request) -> Response:
        """List the newest messages with their callbacks, and say whether `hold` is active."""
        messages = self._context.ledger.page(0, _MOST_SHOWN)
        callbacks = self._context.callbacks.statement([message.id for message in messages])
        shown = [each.line() | {"callbacks": callbacks[each.id]} for each in messages]
        return json_response({"held": self._context.lifecycle.is_held, "messages": shown})

    def hold(self, request: Request) -> Response:
        """Stop the automatic changes of state: {"held": true}. Continue them: {"held": false}."""
        held = request.fields().get("held")
        if not isinstance(held, bool):
            raise platform_error(422, "held must be true or false")
        self._context.lifecycle.hold(held)
        return json_response({"held": held})

    def decide(self, request: Request) -> Response:
        """Set a final state, or PENDING: {"id": "…", "state": "EXPIRED", "callbacks": "late"}."""
        fields = {"callbacks": "true", **request.fields()}
        if fields.get("state") not in STATES:
            raise platform_error(422, f"state must be one of {', '.join(STATES)}")
        variant = _variant(fields)
        with self._context.store.transaction():
            message = self._message(fields)
            if message.is_over:
                raise platform_error(409, f"It has ended: {message.document['state']}")
            self._context.lifecycle.decide(message, fields["state"], variant)
        return json_response({"id": message.id, "state": fields["state"]})

    def repeat(self, request: Request) -> Response:
        """Post callbacks again with the current state: {"id": "…", "callbacks": "twice"}."""
        fields = {"callbacks": "true", **request.fields()}
        variant, message = _variant(fields), self._message(fields)
        if not message.document["callback"]:
            raise platform_error(409, "It was sent without a callback")
        self._context.callbacks.repeat(message.document, variant)
        return json_response({"id": message.id, "state": message.document["state"]})

    def _message(self, fields: dict[str, Any]) -> AcceptedMessage:
        message = self._context.ledger.get(str(fields.get("id")))
        if message is None:
            raise platform_error(404, "There is no such message")
        return message


def _variant(fields: dict[str, Any]) -> str:
    variant = fields["callbacks"]
    if variant not in CALLBACKS:
        raise platform_error(422, f"callbacks must be one of {', '.join(CALLBACKS)}")
    return str(variant)
