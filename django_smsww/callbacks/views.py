"""The view that takes delivery callbacks: who is it, is it well formed, store it, answer.

Each status is a sentence to the gateway: 200 stop, 503 post it again, 4xx it was wrong. No setting
that a project makes for its own views changes this one: it asks for our signature and nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.db import Error as StorageError
from django.db import connections, router, transaction
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.views.decorators.debug import sensitive_variables
from rest_framework.exceptions import APIException
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from ..gateway.signature import HEADER, PROBE
from ..models import Message, Outcome
from . import refusals
from .parsing import (
    CONTENT_TYPE,
    MAX_BYTES,
    UNREADABLE,
    NotAuthentic,
    SignedCallback,
    UnreadableCallback,
    read_callback,
)
from .recording import record

logger = logging.getLogger("django_smsww")

_STATUSES = {UNREADABLE: 400, "no_length": 411, "too_large": 413, CONTENT_TYPE: 415}


class Refused(APIException):
    """The request is not answered with 200.

    A class of ours, because REST framework turns its own 401 into a 403.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(code=reason)
        self.status_code = status


class JSONOnly(BaseContentNegotiation):
    """Answer in JSON, and leave the body to the view."""

    def select_parser(self, request: Request, parsers: Any) -> None:
        return None

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[Any, str]:
        return renderers[0], renderers[0].media_type


class CallbackView(APIView):
    """Take the delivery callbacks of the gateway."""

    smsww_callback = True  # `manage.py check` recognises the view by it

    http_method_names = ["post"]
    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()
    parser_classes = ()
    renderer_classes = (JSONRenderer,)
    content_negotiation_class = JSONOnly
    versioning_class = None
    metadata_class = None

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        """Return the view, outside the transactions and log-ins that a project asks of its own.

        Reports of a fault show none of its variables: they hold numbers and texts.
        """
        view = login_not_required(sensitive_variables()(super().as_view(**initkwargs)))
        for alias in connections:
            view = transaction.non_atomic_requests(using=alias)(view)
        return view

    def perform_authentication(self, request: Request) -> None:
        """Ask for no user: a project's anonymous one may come from anywhere."""

    def get_exception_handler(self) -> Callable[..., HttpResponseBase | None]:
        return answer_refusal

    def post(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        callback = read_request(request._request)
        is_probe = callback.reference == PROBE
        refusals.write(callback.environment, at_once=is_probe)
        if is_probe:
            return answer_probe(callback, request)
        outcome = store(callback)
        if callback.fault or outcome is Outcome.UNKNOWN_WORD:
            return answer_unread(callback, outcome)
        fields = {"reference": callback.reference, "outcome": str(outcome)}
        logger.info("Callback of message %s: %s", callback.reference, outcome, extra=fields)
        return JsonResponse({"outcome": outcome})


def read_request(request: HttpRequest) -> SignedCallback:
    """Return the authentic callback in a request, or refuse it."""
    content_type, header = request.content_type or "", request.headers.get(HEADER, "")
    try:
        return read_callback(content_type, partial(_body, request), header)
    except NotAuthentic:
        raise Refused(401, "not_authentic") from None
    except UnreadableCallback as error:
        raise Refused(_STATUSES[str(error)], str(error)) from None


def _declared_length(request: HttpRequest) -> int:
    length = request.META.get("CONTENT_LENGTH") or ""
    return int(length[:20]) if length.isdecimal() else 0


def _body(request: HttpRequest) -> bytes:
    # Not `request.body`, which has the project's limit instead of ours.
    if _declared_length(request) > MAX_BYTES:
        raise UnreadableCallback("too_large")
    try:
        body = _stream(request).read(MAX_BYTES + 1)
    except OSError:  # the connection broke
        raise UnreadableCallback(UNREADABLE) from None
    if len(body) > MAX_BYTES:
        raise UnreadableCallback("too_large")
    return body


def _stream(request: HttpRequest) -> Any:
    """Return the stream of the body.

    Under WSGI Django reads nothing of a body without a length: CDNs send callbacks in chunks.
    Servers that end the stream themselves say it by `wsgi.input_terminated`.
    """
    environ = getattr(request, "environ", {})
    if not environ.get("CONTENT_LENGTH") and environ.get("wsgi.input_terminated"):
        return environ["wsgi.input"]
    if environ.get("CONTENT_LENGTH") or "HTTP_TRANSFER_ENCODING" not in environ:
        return request
    raise UnreadableCallback("no_length")


def store(callback: SignedCallback) -> Outcome:
    """Record the callback, or ask the gateway to post it again."""
    try:
        return record(callback, using=router.db_for_write(Message))
    except StorageError as error:
        # The text of the error quotes the values that were to be stored.
        kind = type(error).__name__
        fields = {"reference": callback.reference, "reason": kind}
        logger.error(
            "Callback of message %s not stored: %s", callback.reference, kind, extra=fields
        )
        raise Refused(503, "storage") from None


def answer_probe(callback: SignedCallback, request: Request) -> HttpResponseBase:
    """Answer without a look into the database, which holds nothing about a probe."""
    if callback.fault:
        raise Refused(_STATUSES[callback.fault], callback.fault)
    return JsonResponse({"outcome": "probe", "header": HEADER in request.headers})


def answer_unread(callback: SignedCallback, outcome: Outcome) -> HttpResponseBase:
    """Count and log an authentic callback that tells no state that we know.

    An unknown state is answered with 200: posted again, it would say the same.
    """
    refusals.count(refusals.UNREAD)
    refusals.write(callback.environment, at_once=True)
    reason = callback.fault or str(outcome)
    fields = {"reference": callback.reference, "outcome": str(outcome), "reason": reason}
    text = "Callback of message %s cannot be understood: %s"
    logger.warning(text, callback.reference, reason, extra=fields)
    if not callback.fault:
        return JsonResponse({"outcome": outcome})
    status = _STATUSES[callback.fault]
    return JsonResponse({"error": callback.fault, "outcome": outcome}, status=status)


def answer_refusal(error: Exception, context: dict[str, Any]) -> HttpResponseBase | None:
    """Answer a refused request and count it. Any other error is a fault of ours, and stays one."""
    if not isinstance(error, APIException):
        return None
    reason = str(error.get_codes())
    count = refusals.count(reason)
    logger.warning(
        "Callback refused: %s (%d since the start)", reason, count, extra={"reason": reason}
    )
    return JsonResponse({"error": reason}, status=error.status_code)
