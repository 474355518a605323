"""Extensions of drf-spectacular that describe the view for the gateway's callbacks."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiViewExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiRequest, OpenApiResponse, extend_schema
from rest_framework.exceptions import UnsupportedMediaType

from django_smsww.callbacks.authentication import NotAuthentic
from django_smsww.callbacks.parsers import (
    CallbackFormParser,
    CallbackJSONParser,
    LengthRequired,
    TooLarge,
    Unreadable,
)
from django_smsww.callbacks.serializers import SMSCallbackSerializer
from django_smsww.callbacks.views import NotStored
from django_smsww.gateway.signature import HEADER
from django_smsww.models import Outcome

_JSON_FIELD = {"contentType": "application/json"}
_REQUEST = {
    CallbackJSONParser.media_type: SMSCallbackSerializer,
    CallbackFormParser.media_type: OpenApiRequest(
        SMSCallbackSerializer, encoding={"data": _JSON_FIELD, "custom": _JSON_FIELD}
    ),
}
_OURS = (Unreadable, NotAuthentic, LengthRequired, TooLarge, NotStored)
_REFUSALS = {each.status_code: each.default_detail for each in _OURS} | {
    UnsupportedMediaType.status_code: "It is neither JSON nor a form."
}


def _word(name: str, **schema: Any) -> dict[str, Any]:
    """Return the schema of an object with one field, which is a string and is required."""
    return {
        "type": "object",
        "properties": {name: {"type": "string", **schema}},
        "required": [name],
    }


def _responses() -> dict[int, OpenApiResponse]:
    outcome = _word("outcome", enum=[*Outcome.values, "probe"])
    responses = {200: OpenApiResponse(outcome, "It was stored.")}
    for status, text in sorted(_REFUSALS.items()):
        responses[status] = OpenApiResponse(_word("error"), text)
    return responses


class CallbackScheme(OpenApiAuthenticationExtension):
    """Describe the authentication of callbacks in the schema: an API key in a header."""

    target_class = "django_smsww.callbacks.authentication.CallbackAuthentication"
    name = "smsCallback"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {"type": "apiKey", "in": "header", "name": HEADER}


class CallbackExtension(OpenApiViewExtension):
    """Describe the requests and responses of the callback view."""

    target_class = "django_smsww.callbacks.views.CallbackView"
    match_subclasses = True

    def view_replacement(self) -> type[Any]:
        @extend_schema(
            summary="Take a delivery callback of the SMS gateway",
            description="Its signature is all that it asks for, in the header or in `custom`.",
            tags=["SMS"],
            request=_REQUEST,
            responses=_responses(),
        )
        class DescribedCallbackView(self.target):  # type: ignore[name-defined]
            schema = AutoSchema()  # even if the project's own views use another one

        return DescribedCallbackView
