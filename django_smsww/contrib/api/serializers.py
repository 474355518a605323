"""The serializers of stored rows and of new messages."""

from typing import Any

from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.validators import UniqueValidator

from django_smsww.backends.handler import DEFAULT_ALIAS, region_of, sms_backends
from django_smsww.exceptions import InvalidSMS
from django_smsww.models import Batch, Callback, Event, Message, Suppression
from django_smsww.models.viewer import CONTENT_FIELDS, COST_FIELDS, Viewer
from django_smsww.numbers import read_number
from django_smsww.sms import SMS

ERROR_FIELDS = ("error_code", "error_status", "error_text")
MOST_NUMBERS = 10_000
MOST_NESTED = 100
"""The API shows at most 100 callbacks and 100 events of a message, the newest first."""


class HistorySerializer(serializers.ModelSerializer):
    """Base serializer of stored rows. Values that the user may not see are null."""

    @cached_property
    def viewer(self) -> Viewer:
        return Viewer.of(self.context["request"])

    def get_extra_kwargs(self) -> dict[str, Any]:
        """Make all fields read-only, except the fields in `Meta.writable`."""
        hideable = {*CONTENT_FIELDS, *COST_FIELDS, *ERROR_FIELDS}
        options = super().get_extra_kwargs()
        for name in self.Meta.fields:
            if name in getattr(self.Meta, "writable", ()):
                continue
            options.setdefault(name, {})["read_only"] = True
            if name in hideable:
                options[name]["allow_null"] = True
        return options

    def to_representation(self, instance: Any) -> dict[str, Any]:
        shown = super().to_representation(instance)
        return shown | dict.fromkeys(shown.keys() & self.viewer.hidden_fields)


class WithErrorSerializer(HistorySerializer):
    """The error fields of an InsufficientCredit are null for users who may not see costs."""

    def to_representation(self, instance: Any) -> dict[str, Any]:
        shown = super().to_representation(instance)
        return (
            shown if self.viewer.may_read_error(instance) else shown | dict.fromkeys(ERROR_FIELDS)
        )


class NewestSerializer(serializers.ListSerializer):
    """List serializer of related rows. It shows at most MOST_NESTED rows, the newest first."""

    def to_representation(self, data: Any) -> list[Any]:
        return super().to_representation(data.order_by("-pk")[:MOST_NESTED])


class CallbackSerializer(HistorySerializer):
    """A callback, or the answer to a look-up. Only users who may view callbacks see the payload."""

    payload = serializers.SerializerMethodField(allow_null=True)

    class Meta:
        model = Callback
        list_serializer_class = NewestSerializer
        fields = (
            "received_at",
            "last_received_at",
            "times",
            "source",
            "outcome",
            "state",
            "provider_id",
            "payload",
        )

    def get_payload(self, callback: Callback) -> dict[str, Any] | None:
        return self.viewer.payload(callback.payload) if self.viewer.sees_callbacks else None


class EventSerializer(WithErrorSerializer):
    class Meta:
        model = Event
        list_serializer_class = NewestSerializer
        fields = ("created_at", "kind", "state", "error", *ERROR_FIELDS, "reason", "user")


class MessageSerializer(WithErrorSerializer):
    class Meta:
        model = Message
        fields: tuple[str, ...] = (
            "reference",
            "state",
            "error",
            *ERROR_FIELDS,
            "recipient",
            "redirected_to",
            "sender",
            "body",
            "alias",
            "tag",
            "batch",
            "custom",
            "key",
            "origin",
            "created_by",
            "dry_run",
            "sensitive",
            "scrubbed",
            "encoding",
            "characters",
            "segments",
            "country",
            "provider_id",
            "price",
            "total_price",
            "penalty",
            "blocklisted",
            "blocklisted_reason",
            "priority",
            "attempts",
            "created_at",
            "send_at",
            "expires_at",
            "claimed_at",
            "sent_at",
            "delivered_at",
            "finished_at",
        )


class MessageDetailSerializer(MessageSerializer):
    """A message with its callbacks and events.

    If this message is a resend, `resend_of` is the reference of the original. If this message was
    resent, `resent_as` is the reference of the resend. In all other cases, these fields are null.
    """

    resend_of: Any = serializers.SlugRelatedField("reference", read_only=True, allow_null=True)
    resent_as: Any = serializers.SlugRelatedField("reference", read_only=True, allow_null=True)
    callbacks = CallbackSerializer(many=True, read_only=True)
    events = EventSerializer(many=True, read_only=True)

    class Meta(MessageSerializer.Meta):
        fields = (*MessageSerializer.Meta.fields, "resend_of", "resent_as", "callbacks", "events")


class BatchSerializer(HistorySerializer):
    class Meta:
        model = Batch
        fields: tuple[str, ...] = (
            "reference",
            "alias",
            "tag",
            "size",
            "created_at",
            "created_by",
        )


class BatchDetailSerializer(BatchSerializer):
    """A mass send with the number of its messages in each state."""

    states: Any = serializers.DictField(child=serializers.IntegerField(), read_only=True)

    class Meta(BatchSerializer.Meta):
        fields = (*BatchSerializer.Meta.fields, "states")


class PhoneNumberField(serializers.CharField):
    """A telephone number in any usual spelling. The value is converted to E.164."""

    def to_internal_value(self, data: Any) -> str:
        try:
            return read_number(super().to_internal_value(data), region_of())
        except InvalidSMS as error:
            raise serializers.ValidationError(error.explain(), "invalid") from None


class SuppressionSerializer(HistorySerializer):
    """An entry of the do-not-send list."""

    recipient: Any = PhoneNumberField(
        max_length=100, validators=[UniqueValidator(Suppression.objects.all())]
    )

    class Meta:
        model = Suppression
        fields = ("id", "recipient", "reason", "created_at", "created_by")
        writable = ("recipient", "reason")


class TextSerializer(serializers.Serializer):
    """The fields of a new message, except recipients. The backend checks the values again."""

    alias: Any = serializers.CharField(default=DEFAULT_ALIAS, max_length=64)
    body: Any = serializers.CharField(trim_whitespace=False)
    sender: Any = serializers.CharField(default="", allow_blank=True, max_length=11)
    dry_run: Any = serializers.BooleanField(
        default=None, allow_null=True, help_text=_("Let the gateway validate it; nothing is sent.")
    )
    fail_on_multiple_messages: Any = serializers.BooleanField(default=None, allow_null=True)
    custom: Any = serializers.DictField(default=None, allow_null=True)
    tag: Any = serializers.CharField(default="", allow_blank=True, max_length=64)
    sensitive: Any = serializers.BooleanField(default=False)
    send_at: Any = serializers.DateTimeField(default=None, allow_null=True)
    expires_at: Any = serializers.DateTimeField(default=None, allow_null=True)
    priority: Any = serializers.IntegerField(default=0, min_value=-32768, max_value=32767)

    def validate_alias(self, value: str) -> str:
        """Refuse an alias that the view's `get_aliases()` does not contain."""
        if value not in self.context["view"].get_aliases():
            raise serializers.ValidationError(_("There is no such alias."), "invalid_choice")
        return value

    def as_sms(self, key: str) -> SMS:
        fields = self.validated_data
        return SMS(**{name: fields[name] for name in fields if name != "alias"}, key=key)


class SMSSerializer(TextSerializer):
    """A message to one number."""

    recipient: Any = serializers.CharField(
        max_length=100, help_text=_("With the country code: +393331234567.")
    )


class MassSMSSerializer(TextSerializer):
    """One text to many numbers."""

    recipients: Any = serializers.ListField(
        child=serializers.CharField(max_length=100), min_length=1, max_length=MOST_NUMBERS
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Convert the numbers to E.164, and remove duplicates.

        The error for invalid numbers is a dict. Its keys are the positions of these numbers.
        """
        backend = sms_backends[attrs["alias"]]
        numbers: list[str] = []
        problems: Any = {}
        for position, given in enumerate(attrs["recipients"]):
            number = backend.read_recipient(given)
            try:
                backend.validate_recipient(number)
            except InvalidSMS as error:
                problems[position] = [error.explain()]
            numbers.append(number)
        if problems:
            raise serializers.ValidationError({"recipients": problems})
        return attrs | {"recipients": list(dict.fromkeys(numbers))}

    def as_sms(self, key: str) -> SMS:
        """Return an SMS without a number: `send_many()` makes a copy for each number."""
        fields = self.validated_data
        return SMS(
            recipient="",
            **{name: fields[name] for name in fields.keys() - {"alias", "recipients"}},
            key=key,
        )


class ResendSerializer(serializers.Serializer):
    delivered: Any = serializers.BooleanField(
        default=False, help_text=_("Resend it even if it was delivered.")
    )


class CancelSerializer(serializers.Serializer):
    reason: Any = serializers.CharField(default="", allow_blank=True, max_length=255)
