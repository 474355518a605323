"""The SMSWW_VERIFICATION setting: a dictionary with any of these options, read when used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from django_smsww.contrib.code_limits import Guards
from django_smsww.exceptions import InvalidSMS
from django_smsww.numbers import read_number

_WRONG = (
    "SMSWW_VERIFICATION['test_numbers'] has an entry that is no number with a code. "
    'Write {"+393331234567": "123456"}.'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationOptions:
    """What is sent, and how often.

    Attributes:
        using: the alias in the SMSWW setting.
        template_name: its context has `token` and `minutes`.
        length: the digits of a code.
        validity: seconds for which a code is valid and may still leave.
        attempts: how many codes may be entered before a new one must be sent.
        cooldown: seconds between two codes to a number.
        max_per_number: (count, seconds), the most codes to a number in that time, or None.
        test_numbers: numbers in E.164 with a fixed code, to which nothing is sent.
    """

    using: str = "default"
    template_name: str = "django_smsww/code.txt"
    length: int = 6
    validity: int = 600
    attempts: int = 5
    cooldown: int = 60
    max_per_number: tuple[int, int] | None = (5, 3600)
    test_numbers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def guards(self) -> Guards:
        return Guards(cooldown=self.cooldown, max_per_number=self.max_per_number, max_per_user=None)

    @classmethod
    def read(cls) -> VerificationOptions:
        """Return the options of the project."""
        given: Mapping[str, Any] = getattr(settings, "SMSWW_VERIFICATION", {})
        known = [each.name for each in fields(cls)]
        if unknown := sorted(given.keys() - {*known}):
            raise ImproperlyConfigured(
                f"SMSWW_VERIFICATION has no option {unknown[0]!r}. It has: {', '.join(known)}."
            )
        options = cls(**given)
        return replace(options, test_numbers=_in_e164(options.test_numbers))


def _in_e164(test_numbers: Mapping[str, str]) -> dict[str, str]:
    try:
        codes = {read_number(number): code for number, code in test_numbers.items()}
    except InvalidSMS:
        raise ImproperlyConfigured(_WRONG) from None
    if not all(isinstance(code, str) and code for code in codes.values()):
        raise ImproperlyConfigured(_WRONG)
    return codes
