from __future__ import annotations

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from django_smsww.exceptions import InvalidSMS
from django_smsww.numbers import read_number


def validate_number(value: str) -> None:
    """Raise ValidationError unless the number is written in E.164."""
    try:
        read_number(value)
    except InvalidSMS:
        raise ValidationError(
            _("Write the number with the plus sign and the country code: +393331234567."),
            code="invalid",
        ) from None
