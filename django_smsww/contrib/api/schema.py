"""Extensions of drf-spectacular that describe the headers and responses of the API."""

from typing import Any

from drf_spectacular.extensions import OpenApiViewExtension
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_view,
)

_KEY = OpenApiParameter(
    "Idempotency-Key",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    required=True,
    description="A value of the request's own: repeated with it, the request sends nothing twice.",
)
_WAIT = "Nothing was sent. Wait for Retry-After, and repeat with the same Idempotency-Key."
_REFUSALS = {
    400: "It is not valid; nothing was sent.",
    401: "Log in.",
    403: "A permission is missing.",
    404: "There is no such row.",
    409: "The state of the message does not allow it.",
    422: "The Idempotency-Key was used for another request.",
    429: _WAIT,
    503: _WAIT,
}


def _refusals(*statuses: int) -> dict[int, OpenApiResponse]:
    return {each: OpenApiResponse(OpenApiTypes.OBJECT, _REFUSALS[each]) for each in statuses}


def _sends(serializer: Any, *others: int) -> Any:
    told = {
        201: OpenApiResponse(serializer, "There is a row; read its state and its error."),
        202: OpenApiResponse(serializer, "It waits, is under way, or its outcome is unknown."),
    }
    refusals = _refusals(400, 401, 403, *others, 422, 429, 503)
    return extend_schema(parameters=[_KEY], responses=told | refusals)


def _changes(serializer: Any, **options: Any) -> Any:
    refusals = _refusals(400, 401, 403, 404, 409, 429, 503)
    return extend_schema(responses={200: serializer} | refusals, **options)


def _described(view: type[Any], **actions: Any) -> type[Any]:
    """Return a subclass of the view whose actions have these descriptions in the schema."""
    named: type[Any] = extend_schema_view(**actions)(type(view.__name__, (view,), {}))
    return named


class MessageExtension(OpenApiViewExtension):
    target_class = "django_smsww.contrib.api.viewsets.MessageViewSet"
    match_subclasses = True

    def view_replacement(self) -> type[Any]:
        from .serializers import MessageSerializer  # late, because models need loaded apps

        return _described(
            self.target,
            create=_sends(MessageSerializer),
            resend=_sends(MessageSerializer, 404, 409),
            cancel=_changes(MessageSerializer),
            refresh=_changes(MessageSerializer, request=None),
        )


class BatchExtension(OpenApiViewExtension):
    target_class = "django_smsww.contrib.api.viewsets.BatchViewSet"
    match_subclasses = True

    def view_replacement(self) -> type[Any]:
        from .serializers import BatchDetailSerializer

        return _described(
            self.target, create=_sends(BatchDetailSerializer), stop=_changes(BatchDetailSerializer)
        )


class VerificationExtension(OpenApiViewExtension):
    target_class = "django_smsww.contrib.api.verification.VerificationViewSet"
    match_subclasses = True

    def view_replacement(self) -> type[Any]:
        from .verification import NumberSerializer, VerificationSerializer

        return _described(
            self.target,
            create=_sends(VerificationSerializer),
            check=extend_schema(
                responses={200: NumberSerializer} | _refusals(400, 401, 403, 429, 503)
            ),
        )
