"""Test our public callback URL: post a signed callback to it, and explain the answer.

This test callback (the probe) belongs to no message, so the callback view does not store it.
"""

import json
from dataclasses import dataclass
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from ..gateway.http import ExchangeError, RawRequest, RawResponse, exchange
from ..gateway.signature import HEADER, PROBE, custom_stamp, header_stamp
from .parsers import write_body

GATEWAY_WAITS = 30.0
"""The gateway's limit for the answer to a callback, in seconds (its specification 1.2.7)."""

SLOW = 10.0
_MAX_SIZE = 1 << 16

_BY_STATUS = {
    401: (
        "unauthorized",
        "Something in front of the view asks for credentials: let callbacks pass without.",
    ),
    403: (
        "forbidden",
        "Something in front of the view (a firewall, a list of addresses) refuses callbacks.",
    ),
    404: (
        "not_found",
        'Nothing is there: correct callback_url, or add path("sms/", '
        'include("django_smsww.urls")) to the URLconf.',
    ),
    405: ("wrong_view", "Another view is there, which takes no POST: correct callback_url."),
    413: ("refused", "Something in front of the view refuses the size of callbacks."),
    415: ("refused", "The content type did not arrive as it was sent."),
    503: ("unavailable", "The site, or its database, is down: callbacks will come again."),
}


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """The result of a probe, which tests if callbacks reach this site.

    Attributes:
        outcome: "ok", or a short name of the fault, such as "timeout".
        text: what the outcome means, and how to correct the fault.
        status: the HTTP status, or None if there was no answer.
        seconds: the time until the answer.
    """

    outcome: str
    text: str
    status: int | None = None
    seconds: float = 0.0

    @property
    def is_fine(self) -> bool:
        """Whether callbacks reach the callback view in time."""
        return self.outcome in ("ok", "header_lost")


def probe(
    url: str, environment: str, *, method: str = "JSON", timeout: float = GATEWAY_WAITS
) -> ProbeReport:
    """Post a signed test callback to this URL, and return a report. Redirects are not followed.

    Args:
        method: a value of the option `callback_method`: "JSON", or "POST" for a form.
    """
    message = {"id": "", "state": "PROBE"}
    content_type, body = write_body(method, message, custom_stamp(PROBE, environment))
    headers = {"Content-Type": content_type, "User-Agent": "django-smsww"}
    headers |= header_stamp(PROBE, environment)
    request = RawRequest("POST", url, headers, body.encode(), (timeout, timeout), _MAX_SIZE)
    status, started = None, monotonic()
    try:
        answer = exchange(request)
        status, (outcome, text) = answer.status, _judge(answer, url)
    except ExchangeError as error:
        outcome, text = _without_answer(str(error))
    seconds = round(monotonic() - started, 3)
    if outcome == "ok" and seconds > SLOW:
        outcome, text = "slow", f"It took {seconds:.0f} s, and the gateway waits for 30 at most."
    return ProbeReport(outcome, text, status, seconds)


def _judge(answer: RawResponse, url: str) -> tuple[str, str]:
    said = _said(answer)
    if answer.status == 200:
        return _judge_success(said)
    if 300 <= answer.status < 400:
        return "redirect", _redirect_fault(answer, url)
    if answer.status == 401 and said.get("error") == "not_authentic":
        return "not_authentic", (
            "The view refuses our signature: it runs with another SECRET_KEY, or what is in "
            "front of it removes the header and changes the body."
        )
    if answer.status in _BY_STATUS:
        return _BY_STATUS[answer.status]
    if answer.status >= 500:
        return "server_error", "The site fails on it: look into its log."
    return "refused", f"It is refused with HTTP {answer.status}, and the gateway takes 200 alone."


def _judge_success(said: dict[str, Any]) -> tuple[str, str]:
    if said.get("outcome") != "probe":
        return "wrong_view", (
            "Something else than the callback view answered 200, so callbacks would be lost: "
            "correct callback_url."
        )
    if said.get("header") is not True:
        return "header_lost", (
            f"The header {HEADER} was removed on the way. Callbacks are known by their custom "
            "data all the same; let the header pass, in case the gateway leaves that out."
        )
    return "ok", "Callbacks arrive."


def _said(answer: RawResponse) -> dict[str, Any]:
    try:
        said = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _redirect_fault(answer: RawResponse, url: str) -> str:
    """Return a text with a redirect's target. Leave out the query: it could contain secrets."""
    target = urlsplit(answer.headers.get("Location", ""))
    place = target._replace(query="", fragment="").geturl()[:200]
    if not target.query and place == f"{url}/":
        return "It is redirected because callback_url lacks the slash at its end."
    return (
        f"It is redirected to {place!r}, and the gateway need not follow: callback_url must be "
        "the final URL, with https and its slash."
    )


_NO_ANSWER = (
    (("Certificate", "SSL", "TLS"), "tls", "TLS fails: look at the certificate and its chain."),
    (("NameResolution", "gaierror"), "no_name", "The name of the host cannot be resolved."),
    (("Timeout",), "timeout", "No answer came in time, and the gateway waits for 30 s at most."),
    (
        ("Refused", "NewConnection"),
        "no_connection",
        "Nothing listens there, or a firewall is in the way.",
    ),
)


def _without_answer(reason: str) -> tuple[str, str]:
    for words, outcome, text in _NO_ANSWER:
        if any(word in reason for word in words):
            return outcome, f"{text} ({reason})"
    return "no_answer", f"The connection ended without an answer. ({reason})"
