"""The options in the setting SMSWW_VERIFICATION. `VerificationOptions.read` caches nothing."""

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
    """The options in the setting SMSWW_VERIFICATION.

    Attributes:
        using: the alias in the SMSWW setting that sends the codes.
        template_name: the template of the message. Its context has `token` and `minutes`.
        length: the number of digits of a code.
        validity: seconds until a new code expires. An expired code is neither sent nor accepted.
        attempts: how many times a visitor may enter a code before a new code must be sent.
        cooldown: seconds between two codes to the same number.
        max_per_number: `(count, seconds)`. A number gets at most `count` codes in each period of
            `seconds`. None means no limit.
        test_numbers: a dictionary from numbers in E.164 to their fixed codes. No message is sent to
            these numbers.
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
        """Read the setting. An unknown option or wrong test number raises ImproperlyConfigured."""
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
