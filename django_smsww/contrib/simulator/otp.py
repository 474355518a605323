"""The one-time codes of POST /otp."""

from __future__ import annotations

import secrets
import string
from typing import Any

from .validation import invalid

SENDER = "OTP MOBILE"
_TEXTS = {
    "IT": "Il tuo codice di verifica è {code}",
    "ES": "Su código de verificación es {code}",
    "FR": "Votre code de vérification est {code}",
    "DE": "Ihr Bestätigungscode lautet {code}",
}
_TEXT = "Your verification code is {code}"


def check_otp_options(payload: dict[str, Any]) -> dict[str, Any]:
    """Return length, alphanumeric and cacheSeconds with their defaults."""
    options = {
        "length": payload.get("length", 5),
        "alphanumeric": payload.get("alphanumeric", False),
        "cacheSeconds": payload.get("cacheSeconds", 0),
    }
    if type(options["length"]) is not int or not 4 <= options["length"] <= 10:
        raise invalid("Length must be between 4 and 10.", 1020)
    if not isinstance(options["alphanumeric"], bool):
        raise invalid("alphanumeric must be true or false.")
    if type(options["cacheSeconds"]) is not int or not 0 <= options["cacheSeconds"] <= 600:
        raise invalid("cacheSeconds must be between 0 and 600.")
    return options


def new_code(options: dict[str, Any]) -> str:
    """Draw a code of the wanted length."""
    alphabet = string.digits
    if options["alphanumeric"]:
        alphabet += string.ascii_uppercase
    return "".join(secrets.choice(alphabet) for _ in range(options["length"]))


def write_text(code: str, country: str | None) -> str:
    """Put the code into a sentence in the language of the country."""
    return _TEXTS.get(country or "", _TEXT).format(code=code)
