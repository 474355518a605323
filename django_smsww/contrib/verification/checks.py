"""The system checks of the SMSWW_VERIFICATION setting."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004
from django.core.exceptions import ImproperlyConfigured

from .settings import VerificationOptions


@register("sms")
def check_options(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """E031: the options are known, and the test numbers are numbers with a code."""
    try:
        VerificationOptions.read()
    except ImproperlyConfigured as error:
        return [Error(str(error), id="smsww.E031")]
    return []


@register("sms", deploy=True)
def check_test_numbers(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """W031: no number has a fixed code, which whoever knows it can use."""
    if check_options() or not (count := len(VerificationOptions.read().test_numbers)):
        return []
    text = f"SMSWW_VERIFICATION['test_numbers'] gives {count} of the numbers a fixed code."
    hint = "Remove them, unless somebody reviews the app. Whoever knows a code verifies its number."
    return [Warning(text, hint=hint, id="smsww.W031")]
