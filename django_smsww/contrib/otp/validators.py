from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from django_smsww.backends.handler import region_of
from django_smsww.exceptions import InvalidSMS
from django_smsww.numbers import read_number

from .conf import settings


def validate_number(value: str) -> None:
    """Raise ValidationError if the value is not a telephone number."""
    try:
        read_number(value, region_of(settings.OTP_SMSWW_USING))
    except InvalidSMS:
        raise ValidationError(
            _("Write the number with the plus sign and the country code: +393331234567."),
            code="invalid",
        ) from None
