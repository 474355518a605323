"""The payload of a callback, for API schemas. The callback view also accepts other payloads."""
# ruff: noqa: N815 - the gateway's names

from typing import Any

from rest_framework import serializers

_OPTIONAL: dict[str, Any] = {"required": False, "allow_null": True}


class SMSCallbackMessageSerializer(serializers.Serializer):
    """The fields that we store from the gateway's message object. More fields can exist."""

    id = serializers.CharField(**_OPTIONAL)
    state = serializers.CharField(
        help_text="NEW, PENDING, DELIVERED, UNDELIVERABLE, EXPIRED, REJECTED; others move nothing."
    )
    countryCode = serializers.CharField(**_OPTIONAL)
    internationalPrefix = serializers.CharField(**_OPTIONAL)
    encoding = serializers.CharField(**_OPTIONAL)
    charactersCount = serializers.IntegerField(**_OPTIONAL)
    messageCount = serializers.IntegerField(**_OPTIONAL, help_text="Number of segments.")
    price = serializers.FloatField(**_OPTIONAL, help_text="EUR, of one segment.")
    totalPrice = serializers.FloatField(**_OPTIONAL, help_text="EUR, of all segments.")
    blocklisted = serializers.BooleanField(**_OPTIONAL)
    blocklistedReason = serializers.CharField(**_OPTIONAL)
    createdAt = serializers.DateTimeField(**_OPTIONAL)
    updatedAt = serializers.DateTimeField(**_OPTIONAL)
    sentAt = serializers.DateTimeField(**_OPTIONAL)
    deliveredAt = serializers.DateTimeField(**_OPTIONAL)


class SMSCallbackSerializer(serializers.Serializer):
    """A delivery callback in its usual form."""

    data = SMSCallbackMessageSerializer()  # type: ignore[assignment] # a field, not the property
    custom = serializers.DictField(
        required=False, help_text="The custom data of the message, with its signature."
    )
