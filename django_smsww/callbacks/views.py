"""The view that receives delivery callbacks: authenticate, parse, store, answer.

After the status 200, the gateway does not post the callback again. 503 means that the database
failed: the gateway posts the callback again. 4xx means that the request was wrong. Each request
must have the signature that we gave the gateway with the message. This is the only authentication:
the project's settings for REST framework do not change this view.
"""

import logging
from collections.abc import Callable
from typing import Any, cast

from django.contrib.auth.decorators import login_not_required
from django.db import Error as StorageError
from django.db import router
from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables
from rest_framework.exceptions import APIException
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView, exception_handler

from ..gateway.signature import HEADER, PROBE
from ..gateway.tracing import annotate_span
from ..models import Message, Outcome
from ..models.commit import outside_transactions
from . import refusals
from .authentication import CallbackAuthentication
from .parsers import CallbackFormParser, CallbackJSONParser, CallbackRequest
from .recording import record
from .serializers import SMSCallbackSerializer
from .signed import SignedCallback

logger = logging.getLogger("django_smsww")


class NotStored(APIException):
    status_code = 503
    default_detail = "It could not be stored: post it again."
    default_code = "storage"


class JSONOnly(DefaultContentNegotiation):
    """Answer in JSON, even if the request asks for another format."""

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[Any, str]:
        return renderers[0], renderers[0].media_type


class CallbackView(APIView):
    """Receive the delivery callbacks of the gateway."""

    smsww_callback = True  # `manage.py check` recognises the view by it

    http_method_names = ["post"]
    authentication_classes = (CallbackAuthentication,)
    permission_classes = ()
    throttle_classes = ()
    parser_classes = (CallbackJSONParser, CallbackFormParser)
    renderer_classes = (JSONRenderer,)
    serializer_class = SMSCallbackSerializer  # only for schemas: it refuses no payload
    content_negotiation_class = JSONOnly
    versioning_class = None
    metadata_class = None

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        """Return the view, exempt from ATOMIC_REQUESTS and from the project's log-in middleware.

        The view's variables contain personal data, so Django's error reports leave them out.
        """
        view = login_not_required(sensitive_variables()(super().as_view(**initkwargs)))
        return outside_transactions(view)

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        return CallbackRequest(
            request,
            parsers=self.get_parsers(),
            authenticators=self.get_authenticators(),
            negotiator=self.get_content_negotiator(),
            parser_context=self.get_parser_context(request),
        )

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Answer methods other than POST with 405, before the signature is checked."""
        if request.method != "POST":
            self.http_method_not_allowed(request)
        super().initial(request, *args, **kwargs)

    def perform_authentication(self, request: Any) -> None:
        """Call only our authenticator. Ignore the project's setting UNAUTHENTICATED_USER."""
        [authenticator] = request.authenticators
        request.user, request.auth = authenticator.authenticate(request)

    def get_exception_handler(self) -> Callable[..., Response | None]:
        return answer_refusal

    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        callback = cast(SignedCallback, request.auth)
        is_probe = callback.reference == PROBE
        refusals.write(callback.environment, at_once=is_probe)
        if is_probe:
            return answer_probe(callback, request)
        outcome = store(callback)
        annotate_span(
            reference=str(callback.reference), state=callback.result.state, outcome=str(outcome)
        )
        if callback.fault or outcome is Outcome.UNKNOWN_WORD:
            return answer_unread(callback, outcome)
        fields = {"reference": callback.reference, "outcome": str(outcome)}
        logger.info("Callback of message %s: %s", callback.reference, outcome, extra=fields)
        return Response({"outcome": outcome})


def store(callback: SignedCallback) -> Outcome:
    """Apply and store the callback. If the database fails, raise NotStored (status 503)."""
    try:
        return record(callback, using=router.db_for_write(Message))
    except StorageError as error:
        # The text of the error quotes the values that were to be stored.
        kind = type(error).__name__
        fields = {"reference": callback.reference, "reason": kind}
        logger.error(
            "Callback of message %s not stored: %s", callback.reference, kind, extra=fields
        )
        raise NotStored from None


def answer_probe(callback: SignedCallback, request: Request) -> Response:
    """Answer a probe: a callback that tests this view, and that is not stored."""
    if callback.fault:
        raise callback.fault
    return Response({"outcome": "probe", "header": HEADER in request.headers})


def answer_unread(callback: SignedCallback, outcome: Outcome) -> Response:
    """Count, log and answer an authentic callback whose state is missing or unknown.

    If the state is missing, answer 4xx. If it is unknown, answer 200: posting again does not help.
    """
    refusals.count(refusals.UNREAD)
    refusals.write(callback.environment, at_once=True)
    fault = callback.fault
    reason = fault.default_code if fault else str(outcome)
    fields = {"reference": callback.reference, "outcome": str(outcome), "reason": reason}
    text = "Callback of message %s cannot be understood: %s"
    logger.warning(text, callback.reference, reason, extra=fields)
    if fault is None:
        return Response({"outcome": outcome})
    return Response({"error": reason, "outcome": outcome}, status=fault.status_code)


def answer_refusal(error: Exception, context: dict[str, Any]) -> Response | None:
    """Count, log and answer a refused request. Return None if `error` is not an APIException."""
    if not isinstance(error, APIException):
        return None
    reason = str(error.get_codes())
    count = refusals.count(reason)
    logger.warning(
        "Callback refused: %s (%d since the start)", reason, count, extra={"reason": reason}
    )
    if response := exception_handler(error, context):
        response.data = {"error": reason}
    return response
