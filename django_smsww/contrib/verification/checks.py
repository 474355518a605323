"""The system checks of the SMSWW_VERIFICATION setting."""

from typing import Any

from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004
from django.core.exceptions import ImproperlyConfigured

from .settings import VerificationOptions


@register("sms")
def check_options(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """E031: an option is unknown, or a test number is invalid or has no code."""
    try:
        VerificationOptions.read()
    except ImproperlyConfigured as error:
        return [Error(str(error), id="smsww.E031")]
    return []


@register("sms", deploy=True)
def check_test_numbers(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """W031: warn if a number has a fixed code, with which anybody could verify the number."""
    if check_options() or not (count := len(VerificationOptions.read().test_numbers)):
        return []
    text = f"SMSWW_VERIFICATION['test_numbers'] gives {count} of the numbers a fixed code."
    hint = (
        "Keep them only while somebody reviews the app: anybody who knows a code can verify its "
        "number."
    )
    return [Warning(text, hint=hint, id="smsww.W031")]
