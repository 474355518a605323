"""The ways in which an answer can go wrong, by name. What leaves the socket is in delivery.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from .http import Request, Response, json_response, platform_envelope

Answer = Callable[[Request, Response], Response]

REDIRECTED = "redirected"


def _platform(status: int, message: str, error: float | None = None) -> Answer:
    response = json_response(platform_envelope(message, error), status)
    return lambda request, true: response


def _proxy_page(status: int, title: str) -> Answer:
    page = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    response = Response(status, page.encode("ascii"), "text/html")
    return lambda request, true: response


def _manner(manner: str) -> Answer:
    return lambda request, true: replace(true, manner=manner)


def _broken_json(request: Request, true: Response) -> Response:
    return replace(true, body=true.body[: len(true.body) // 2])


def _too_many(request: Request, true: Response) -> Response:
    response = json_response(platform_envelope("Too Many Requests"), 429)
    return replace(response, headers={"Retry-After": "1"})


def _redirect(request: Request, true: Response) -> Response:
    """Point to where a client that follows would send the message once more, and be accepted."""
    location = f"{request.path}?{REDIRECTED}=1"
    return Response(307, headers={"Location": location})


ANSWERS: dict[str, Answer] = {
    "true": lambda request, true: true,
    "hang": _manner("hang"),
    "reset": _manner("reset"),
    "drip": _manner("drip"),
    "cut-short": _manner("cut-short"),
    "broken-tls": _manner("broken-tls"),
    "interim": _manner("interim"),
    "interim-429": lambda request, true: replace(_too_many(request, true), manner="interim"),
    "doubled": _manner("doubled"),
    "text": lambda request, true: replace(true, content_type="text/plain"),
    "broken-json": _broken_json,
    "200-html": _proxy_page(200, "Welcome"),
    "307": _redirect,
    "401": _platform(401, "Wrong Token"),
    "402": _platform(402, "Insufficient Credit in Wallet: 1 > 0.25", 0.25),
    "408": _platform(408, "Request Timeout"),
    "417": _platform(417, "Service temporarily unavailable", 417),
    "429": _too_many,
    "500": lambda request, true: json_response({"code": 500, "message": "Internal error"}, 500),
    "500-platform": _platform(500, "Internal Server Error", 500),
    "503": _platform(503, "Service Unavailable", 503),
    "502": lambda request, true: json_response({"code": 502, "message": "Bad gateway"}, 502),
    "502-platform": _platform(502, "Bad Gateway", 502),
    "503-gateway": lambda request, true: json_response({"code": 503, "message": "Closed"}, 503),
    "504": lambda request, true: json_response({"code": 504, "message": "Timed out"}, 504),
    "504-platform": _platform(504, "Gateway Timeout", 504),
    "502-html": _proxy_page(502, "502 Bad Gateway"),
    "503-html": _proxy_page(503, "503 Service Unavailable"),
    "504-html": _proxy_page(504, "504 Gateway Timeout"),
}
