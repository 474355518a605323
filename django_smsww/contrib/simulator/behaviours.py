"""The test numbers: the last three digits of a recipient choose what happens to the message.

The other digits do not matter: +393330000901 and +447400000901 behave alike. If the last three
digits are not in TEST_NUMBERS, the message is delivered. In the descriptions, "accepted" means: the
simulator records the message, even if the client gets no answer.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from http import HTTPStatus

from .http import Request, Response, json_response, platform_error

REDIRECTED = "redirected"

Answer = Callable[[Request, Response], Response]
"""A function that gets a request and its normal response, and returns the response for the client.
"""


def _true(request: Request, true: Response) -> Response:
    return true


def _constant(response: Response) -> Answer:
    return lambda request, true: response


def _manner(manner: str) -> Answer:
    return lambda request, true: replace(true, manner=manner)


def _platform(status: int, message: str = "", error: float | None = None) -> Answer:
    message = message or HTTPStatus(status).phrase
    return _constant(platform_error(status, message, error).response)


def _gateway(status: int, message: str) -> Answer:
    return _constant(json_response({"code": status, "message": message}, status))


def _html(status: int, title: str = "") -> Answer:
    title = title or f"{status} {HTTPStatus(status).phrase}"
    page = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    return _constant(Response(status, page.encode("ascii"), "text/html"))


def _broken_json(request: Request, true: Response) -> Response:
    return replace(true, body=true.body[: len(true.body) // 2])


def _plain_text(request: Request, true: Response) -> Response:
    return replace(true, content_type="text/plain")


def _in_a_list(request: Request, true: Response) -> Response:
    payload = json.loads(true.body)
    return json_response({"data": [payload.get("data", payload)]}, true.status)


def _redirect(request: Request, true: Response) -> Response:
    """Redirect the client to an address that accepts the message."""
    location = f"{request.path}?{REDIRECTED}=1"
    return Response(307, headers={"Location": location})


_HANG = _manner("hang")
_LOW_CREDIT = _platform(402, "Insufficient Credit in Wallet: 1 > 0.25", 0.25)
_UNAVAILABLE = _platform(417, "Service temporarily unavailable", 417)
_TOO_MANY = replace(platform_error(429, "Too Many Requests").response, headers={"Retry-After": "1"})


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What happens to one message.

    Attributes:
        steps: the states after NEW.
        answer: the function that makes the response for the client.
        callbacks: how the callbacks are posted, a key of `callbacks.VARIANTS`.
        rushed: whether all changes of state and all callbacks happen before the response.
    """

    description: str
    steps: tuple[str, ...] = ("PENDING", "DELIVERED")
    accepts: bool = True
    answer: Answer = _true
    callbacks: str = "true"
    blocklisted: bool = False
    rushed: bool = False


def _refused(description: str, answer: Answer) -> Behaviour:
    return Behaviour(f"{description}; not accepted", (), accepts=False, answer=answer)


def _accepted(description: str, answer: Answer) -> Behaviour:
    return Behaviour(f"{description}, after accepting", answer=answer)


DELIVERED = Behaviour("delivered")
TEST_NUMBERS: dict[str, Behaviour] = {
    "901": Behaviour("ends UNDELIVERABLE", ("PENDING", "UNDELIVERABLE")),
    "902": Behaviour("ends EXPIRED", ("PENDING", "EXPIRED")),
    "903": Behaviour("ends REJECTED", ("PENDING", "REJECTED")),
    "904": Behaviour("stays PENDING", ("PENDING",)),
    "905": Behaviour("stays NEW, no callback ever", ()),
    "911": _accepted("no answer, the connection stays open until the caller closes it", _HANG),
    "912": _accepted("500", _gateway(500, "Internal error")),
    "913": _refused("500", _gateway(500, "Internal error")),
    "914": _accepted("connection reset", _manner("reset")),
    "915": _refused("connection reset", _manner("reset")),
    "916": _refused("503 with the platform's JSON", _platform(503, error=503)),
    "917": _accepted("503 with a proxy's HTML", _html(503)),
    "918": _refused("429 with Retry-After: 1", _constant(_TOO_MANY)),
    "919": _refused("402, insufficient credit", _LOW_CREDIT),
    "920": _refused("417, temporarily unavailable", _UNAVAILABLE),
    "921": _accepted("201 with JSON that breaks off", _broken_json),
    "922": _accepted("200 with HTML", _html(200, "Welcome")),
    "923": _accepted("201, one byte at a time", _manner("drip")),
    "924": _refused("307 to an address that would accept", _redirect),
    "925": Behaviour(
        "accepted with blocklisted: true and a reason, fined, ends REJECTED",
        ("REJECTED",),
        blocklisted=True,
    ),
    "926": Behaviour("delivered, the callbacks get lost", callbacks="lost"),
    "927": Behaviour("delivered, each callback comes twice", callbacks="twice"),
    "928": Behaviour("delivered, the callbacks come in reverse order", callbacks="reversed"),
    "929": Behaviour("delivered, all callbacks come before the answer", rushed=True),
    "930": Behaviour(
        "delivered, with a forged callback (REJECTED, wrong signature) before each true one",
        callbacks="forged",
    ),
    "931": Behaviour(
        "delivered, with a callback for another message's id (REJECTED) before each true one",
        callbacks="foreign",
    ),
    "932": Behaviour("ends in a state word that is not documented", ("PENDING", "QUARANTINED")),
    "933": _refused("401, wrong token", _platform(401, "Wrong Token")),
    "934": _accepted("408", _platform(408)),
    "935": _accepted("502 with a proxy's HTML", _html(502)),
    "936": _accepted("504 with a proxy's HTML", _html(504)),
    "937": _refused("502 with a proxy's HTML", _html(502)),
    "938": Behaviour("delivered, the callbacks come late", callbacks="late"),
    "939": _accepted("201, the connection closes in the middle of the body", _manner("cut-short")),
    "940": _refused("no answer, the connection stays open until the caller closes it", _HANG),
    "941": _refused("504 with a proxy's HTML", _html(504)),
    "942": _refused("503 with a proxy's HTML", _html(503)),
    "943": _accepted("500 with the platform's JSON", _platform(500, error=500)),
    "944": _refused("500 with the platform's JSON", _platform(500, error=500)),
    # No number answers 503 with JSON after accepting: with this status and JSON in either format,
    # the gateway says that it did not accept.
    "945": _refused("503 with the gateway's JSON", _gateway(503, "Closed")),
    "946": _accepted("502 with the gateway's JSON", _gateway(502, "Bad gateway")),
    "947": _refused("502 with the platform's JSON", _platform(502, error=502)),
    "948": _accepted("504 with the platform's JSON", _platform(504, error=504)),
    "949": _refused("504 with the gateway's JSON", _gateway(504, "Timed out")),
    "950": _accepted("201 with JSON that is said to be plain text", _plain_text),
    "951": _accepted("TLS breaks in the middle of the answer", _manner("broken-tls")),
    "952": _refused("TLS breaks in the middle of the answer", _manner("broken-tls")),
    "953": _accepted("103 and 102, then 201", _manner("interim")),
    "954": _refused("103 and 102, then 429", _constant(replace(_TOO_MANY, manner="interim"))),
    "955": _accepted("a proxy's 429 and the true 201, at once", _manner("doubled")),
    "956": _accepted("200 with the gateway's error envelope", _gateway(200, "Queued twice")),
    "957": _refused("200 with the platform's error envelope", _platform(200, "Not now")),
    "958": _accepted("201 with the message as the only item of a list", _in_a_list),
    "959": _refused("403, the token lacks the scope", _gateway(403, "Insufficient scope")),
    "960": _refused("404 with HTML, as from a wrong path", _html(404)),
    "961": _refused("451 with the platform's JSON", _platform(451)),
}


def behaviour_of(ending: str) -> Behaviour:
    """Return the behaviour for the last three digits of a number. The default is DELIVERED."""
    return TEST_NUMBERS.get(ending, DELIVERED)
