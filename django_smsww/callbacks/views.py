"""The callback door. Each status is a sentence to the provider: 200 stop, 503 again, 4xx wrong.

Nothing that a project configures for its own views changes it: its own signature is the only thing
that it asks for.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from math import inf
from threading import Lock
from time import monotonic
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
from ..models import Heartbeat, Message, Outcome
from .parsing import (
    MAX_BYTES,
    READERS,
    NotAuthentic,
    SignedCallback,
    UnreadableCallback,
    read_callback,
)
from .recording import record

logger = logging.getLogger("django_smsww")

refused: Counter[str] = Counter()
"""How many requests this process refused since it started, by reason."""

unkept: Counter[str] = Counter()
"""Those of them that are not yet written down, for `smsww_status` to read.

A stranger can make us write nothing: they wait for the next authentic callback.
"""
KEPT_EVERY = 60
_kept_at = -inf
_refused_lock = Lock()


class Refused(APIException):
    """The request is not answered with 200.

    A class of ours, because REST framework turns its own 401 into a 403.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(code=reason)
        self.status_code = status


class JSONAlone(BaseContentNegotiation):
    """Answer in JSON, whatever is asked for."""

    def select_parser(self, request: Request, parsers: Any) -> None:
        """Choose none: the body is read here."""

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[Any, str]:
        return renderers[0], renderers[0].media_type


class CallbackView(APIView):
    """Take the delivery callbacks of the gateway."""

    smsww_callback = True  # by which `manage.py check` recognises the view

    http_method_names = ["post"]
    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()
    parser_classes = ()
    renderer_classes = (JSONRenderer,)
    content_negotiation_class = JSONAlone
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
        callback = _read(request._request)
        is_probe = callback.reference == PROBE
        _keep_refusals(callback.environment, at_once=is_probe)
        if is_probe:
            return JsonResponse({"outcome": "probe", "header": HEADER in request.headers})
        outcome = _store(callback)
        fields = {"reference": callback.reference, "outcome": str(outcome)}
        logger.info("Callback of message %s: %s", callback.reference, outcome, extra=fields)
        return JsonResponse({"outcome": outcome})


def answer_refusal(error: Exception, context: dict[str, Any]) -> HttpResponseBase | None:
    """Answer what was refused, and count it; any other error is a fault of ours, and stays one."""
    if not isinstance(error, APIException):
        return None
    reason = str(error.get_codes())
    with _refused_lock:
        refused[reason] += 1
        unkept[reason] += 1
    fields = {"reason": reason}
    logger.warning(
        "Callback refused: %s (%d since the start)", reason, refused[reason], extra=fields
    )
    return JsonResponse({"error": reason}, status=error.status_code)


def _read(request: HttpRequest) -> SignedCallback:
    if _declared_length(request) > MAX_BYTES:
        raise Refused(413, "too_large")
    reader = READERS.get(request.content_type or "")
    if reader is None:
        raise Refused(415, "content_type")
    try:
        return read_callback(reader, _body(request), request.headers.get(HEADER, ""))
    except NotAuthentic:
        raise Refused(401, "not_authentic") from None
    except UnreadableCallback:
        raise Refused(400, "unreadable") from None


def _declared_length(request: HttpRequest) -> int:
    length = request.META.get("CONTENT_LENGTH") or ""
    return int(length[:20]) if length.isdecimal() else 0


def _body(request: HttpRequest) -> bytes:
    # Not `request.body`, whose limit is the project's and not ours.
    try:
        body = request.read(MAX_BYTES + 1)
    except OSError:  # the connection broke
        raise Refused(400, "unreadable") from None
    if len(body) > MAX_BYTES:
        raise Refused(413, "too_large")
    return body


def _store(callback: SignedCallback) -> Outcome:
    try:
        return record(callback, using=router.db_for_write(Message))
    except StorageError as error:
        # The error's text quotes what was to be stored.
        kind = type(error).__name__
        fields = {"reference": callback.reference, "reason": kind}
        logger.error(
            "Callback of message %s not stored: %s", callback.reference, kind, extra=fields
        )
        raise Refused(503, "storage") from None


def forget_refusals() -> None:
    """Be as after a start: what one test had refused is not written down by the next."""
    global _kept_at
    with _refused_lock:
        refused.clear()
        unkept.clear()
        _kept_at = -inf


def _keep_refusals(environment: str, *, at_once: bool) -> None:
    """Write down how many were refused, at most once a minute."""
    global _kept_at
    with _refused_lock:
        if not unkept or not (at_once or monotonic() > _kept_at + KEPT_EVERY):
            return
        counts = dict(unkept)
        unkept.clear()
        _kept_at = monotonic()
    heartbeats = Heartbeat.objects.using(router.db_for_write(Heartbeat))
    try:
        for reason, times in counts.items():
            heartbeats.beat(environment, f"refused:{reason}", times=times)
    except StorageError as error:
        logger.error("Refused callbacks not counted: %s", type(error).__name__)
