"""The callback view in the schema of drf-spectacular; loaded where that app is installed."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiViewExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

from django_smsww.gateway.signature import HEADER
from django_smsww.models import Outcome

_OBJECT = {"type": "object", "additionalProperties": True}
_REQUEST = {
    "application/json": {
        "type": "object",
        "properties": {
            "data": {**_OBJECT, "description": "The gateway's message object."},
            "custom": {**_OBJECT, "description": "The custom data of the message."},
        },
        "required": ["data"],
    },
    "application/x-www-form-urlencoded": {
        "type": "object",
        "properties": {
            "data": {"type": "string", "description": "The gateway's message object, as JSON."},
            "custom": {"type": "string", "description": "The custom data of the message, as JSON."},
        },
        "required": ["data"],
    },
}
_REFUSALS = {
    400: "It cannot be read.",
    401: "It bears no signature of ours.",
    413: "It is too large.",
    415: "It is neither JSON nor a form.",
    503: "It could not be stored: post it again.",
}


def _word(name: str, **schema: Any) -> dict[str, Any]:
    """Return the schema of an answer that is one word."""
    return {
        "type": "object",
        "properties": {name: {"type": "string", **schema}},
        "required": [name],
    }


def _responses() -> dict[int, OpenApiResponse]:
    outcome = _word("outcome", enum=[*Outcome.values, "probe"])
    responses = {200: OpenApiResponse(outcome, "It was stored.")}
    for status, text in _REFUSALS.items():
        responses[status] = OpenApiResponse(_word("error"), text)
    return responses


class CallbackExtension(OpenApiViewExtension):
    """Describes the view's requests and answers, since it has no serializers."""

    target_class = "django_smsww.callbacks.views.CallbackView"
    match_subclasses = True

    def view_replacement(self) -> type[Any]:
        """Return the view with a description."""

        @extend_schema(
            summary="Take a delivery callback of the SMS gateway",
            description="Its signature is all that it asks for, in the header or in `custom`.",
            tags=["SMS"],
            parameters=[OpenApiParameter(HEADER, OpenApiTypes.STR, OpenApiParameter.HEADER)],
            request=_REQUEST,
            responses=_responses(),
            auth=[],
        )
        class DescribedCallbackView(self.target):  # type: ignore[name-defined]
            schema = AutoSchema()  # even if the project's own views use another one

        return DescribedCallbackView
