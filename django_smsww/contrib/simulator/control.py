"""The endpoints below /_simulator/: what really happened, and what happens next.

Loopback only. A POST needs ``Content-Type: application/json``, which no foreign web page can send.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from decimal import Decimal, InvalidOperation
from typing import Any

from .accepting import FAULTS
from .auth import check_local
from .behaviours import TEST_NUMBERS
from .hand import Hand
from .http import Request, Response, json_response, platform_error
from .profiles import UnknownProfileError
from .world import World

_ENDINGS: dict[Any, Collection[str]] = {
    **dict.fromkeys(("GET", "POST"), TEST_NUMBERS),
    "CONNECT": FAULTS,
}


class Control:
    """Shows the simulator's own records and changes its ways while it runs."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._answers: dict[tuple[str, str], Callable[[Request], Response]] = {
            ("GET", "ledger"): self.ledger,
            ("GET", "requests"): self.requests,
            ("GET", "idle"): self.idle,
            ("GET", "profile"): self.profile,
            ("POST", "profile"): self.set_profile,
            ("POST", "account"): self.set_account,
            ("POST", "next"): self.arm,
            ("POST", "reset"): self.reset,
        }
        hand = Hand(world)
        self._answers |= {
            ("GET", "messages"): hand.messages,
            ("POST", "hold"): hand.hold,
            ("POST", "decide"): hand.decide,
            ("POST", "repeat"): hand.repeat,
        }

    def answer(self, request: Request, name: str) -> Response:
        """Answer a request for /_simulator/{name}."""
        check_local(request)
        method = self._answers.get((request.method, name))
        if method is None:
            raise platform_error(404, "Not Found")
        return method(request)

    def ledger(self, request: Request) -> Response:
        """List every accepted message, oldest first; ?reference= chooses."""
        return json_response(self._world.ledger.statement(request.query.get("reference", "")))

    def requests(self, request: Request) -> Response:
        """List every POST for a message that arrived, oldest first."""
        return json_response(self._world.journal.statement())

    def idle(self, request: Request) -> Response:
        """Count the messages that still move and the callbacks that are under way."""
        row = self._world.store.row(
            "SELECT (SELECT count(*) FROM messages WHERE steps != '[]')"
            " + (SELECT count(*) FROM callbacks WHERE completed IS NULL)"
        )
        return json_response({"waiting": row[0] if row else 0})

    def profile(self, request: Request) -> Response:
        """List the active profiles."""
        return json_response({"profiles": self._world.profiles.names()})

    def set_profile(self, request: Request) -> Response:
        """Switch on exactly the profiles of {"profiles": [...]}."""
        names = request.fields().get("profiles")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise platform_error(422, "profiles must be a list of names")
        try:
            self._world.profiles.replace(names)
        except UnknownProfileError as error:
            raise platform_error(422, str(error)) from error
        return self.profile(request)

    def set_account(self, request: Request) -> Response:
        """Set any of {"credit": "5.00", "blocklisted": false}."""
        for name, value in request.fields().items():
            if name not in ("credit", "blocklisted"):
                raise platform_error(422, f"{name} is not a value of the account")
            try:
                self._world.wallet.set(name, Decimal(str(value)) if name == "credit" else value)
            except (InvalidOperation, TypeError, ValueError):
                raise platform_error(422, f"{name} must be a number") from None
        wallet = self._world.wallet
        return json_response(
            {
                "credit": str(wallet.credit),
                "blocklisted": wallet.is_blocklisted,
            }
        )

    def arm(self, request: Request) -> Response:
        """Give the next requests the behaviour of a test number, whatever their recipient.

        {"ending": "914", "times": 2, "method": "POST"}; with "GET" the answers to reading; with
        "CONNECT" and one of accepting.FAULTS what goes wrong before a request is read.
        """
        fields = {"times": 1, "method": "POST", **request.fields()}
        if fields.get("ending") not in _ENDINGS.get(fields["method"], ()):
            raise platform_error(
                422, "ending must be a test number with GET or POST, a fault with CONNECT"
            )
        if type(fields["times"]) is not int or not 0 < fields["times"] <= 10_000:
            raise platform_error(422, "times must be between 1 and 10000")
        waiting = self._world.armed.setdefault(fields["method"], deque())
        waiting.extend([fields["ending"]] * fields["times"])
        return json_response({name: list(each) for name, each in self._world.armed.items()})

    def reset(self, request: Request) -> Response:
        """Forget everything, and be as at the start."""
        request.fields()
        self._world.reset()
        return json_response({"reset": True})
