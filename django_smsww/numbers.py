"""Telephone numbers: people write them in many ways, and rows hold E.164 ("+393331234567").

libphonenumber (the extra `numbers`) reads all spellings. Without it only E.164 is a number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any, Protocol
from unicodedata import category, decimal, normalize

from django.utils.functional import Promise
from django.utils.translation.trans_null import gettext_noop as _

from .exceptions import InvalidSMS

# The shortest numbers in use, those of Niue, have seven digits with the country code; E.164
# allows fifteen.
is_e164 = re.compile(r"\+[1-9][0-9]{6,14}").fullmatch


class PhoneNumber(Protocol):
    """A number as the fields of django-phonenumber-field hold it."""

    @property
    def as_e164(self) -> str: ...


Recipient = str | Promise | PhoneNumber

LONGEST_TEXT = 100
_ABROAD = re.compile(r"[^\d+]*(\+?00|\+)")
_is_power_of_ten = re.compile(r"\s*\+?[\d.,]+E\+?\d+\s*", re.IGNORECASE).fullmatch
_TRUNK_ZERO = re.compile(r"[(\[] ?0 ?[)\]]")
# Marks of text direction are of the kind Cf.
_KINDS = {"Cf": "", "Pd": "-"}
# Of other kinds: the minus sign, and the mark of a long vowel in Japanese.
_DASHES = {0x2212: "-", 0x30FC: "-"}

_NO_EXTRA = _(
    "recipient must be in E.164, for example +393331234567. To send to numbers in other "
    "spellings, install the extra: pip install 'django-smsww[numbers]'."
)
_NO_COUNTRY = _(
    "recipient must start with the plus sign and the country code. "
    "Write it in E.164 with the plus sign, for example +393331234567."
)
_NO_NUMBER = _(
    "recipient must be one telephone number, without letters or an extension. "
    "Write it in E.164 with the plus sign, for example +393331234567."
)
_RUINED = _(
    "recipient was turned into a power of ten by a spreadsheet, and its last digits are lost. "
    "Format the column as text, and enter the numbers again."
)
_WRONG_LENGTH = _(
    "recipient must have 7 to 15 digits with the country code. "
    "Write it in E.164 with the plus sign, for example +393331234567."
)


def read_number(value: object, region: str = "") -> str:
    """Return a number in E.164.

    Numbers that no numbering plan knows are read too, since the plans change.

    Args:
        value: a string, or an object with `as_e164` such as django-phonenumber-field has.
        region: the ISO 3166 code of the country of national numbers; "" refuses them.

    Raises:
        InvalidSMS: it is no number; the text says what to write, and does not repeat it.
    """
    text = as_text(value)
    if not isinstance(text, str):
        raise InvalidSMS("recipient must be a string, for example '+393331234567'.")
    number = text if library() is None else _parse(text, region)
    if is_e164(number):
        return number
    raise InvalidSMS(_problem(text, number, region))


def as_text(value: object) -> object:
    """Return the string that a lazy string or an object with `as_e164` stands for."""
    value = getattr(value, "as_e164", value)
    return str(value) if isinstance(value, str | Promise) else value


def country_of(number: str) -> str | None:
    """Return the ISO 3166 code of a number's country, or None if it has none.

    Raises:
        ImportError: the extra is missing.
    """
    phonenumbers = required_library()
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return None


def is_known(number: str) -> bool:
    """Tell whether a numbering plan has this number; True if there is no library to ask."""
    phonenumbers = library()
    if phonenumbers is None:
        return True
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return False


@cache
def library() -> Any:
    """Return the package phonenumbers, or None. Its import takes long, so the first use does it."""
    try:
        return required_library()
    except ImportError:
        return None


def required_library() -> Any:
    """Return the package phonenumbers; raise ImportError if it is missing."""
    import phonenumbers  # an extra, and slow to import

    return phonenumbers


# One number is read several times on its way into a row; a mass send reads all of them first.
@lru_cache(maxsize=16_384)
def _parse(text: str, region: str) -> str:
    """Return the number in E.164, or a text that is_e164() refuses: "" if it is no number."""
    if len(text) > LONGEST_TEXT:
        return ""
    if is_e164(text) and _format(text, "") == text:
        return text
    plain = plain_text(text)
    if any(character.isalpha() for character in plain):
        return ""  # libphonenumber takes letters for the keys of a telephone
    found = [number for each in _spellings(plain, region) if (number := _settled(each, region))]
    if len(found) < 2:
        return found[0] if found else ""
    return next(filter(is_known, found), found[-1])


def plain_text(text: str) -> str:
    """Return a text with plain spaces, dashes and digits, and without tel:."""
    text = normalize("NFKC", text).translate(_DASHES).strip()
    if text[:4].lower() == "tel:":
        text = text[4:]
    return "".join(map(_plain_character, text))


def _plain_character(character: str) -> str:
    if character.isdecimal():
        return str(decimal(character))
    return " " if character.isspace() else _KINDS.get(category(character), character)


def _spellings(text: str, region: str) -> Iterator[str]:
    """Yield a number in the spellings that libphonenumber reads; the last is the likeliest."""
    abroad = _ABROAD.match(text)
    if region and not (abroad and abroad[1] == "+"):
        yield text  # 00 starts no international number in some countries
    if abroad:
        text = "+" + text[abroad.end() :].lstrip()
        yield text
        # "+44 (0)20" is dialled without the zero from abroad. In Italy the zero is dialled.
        if _TRUNK_ZERO.search(text):
            yield _TRUNK_ZERO.sub("", text)


def _settled(spelling: str, region: str) -> str:
    """Return the number in E.164, as short as libphonenumber makes it."""
    number = _format(spelling, region)
    # It removes one trunk zero at a time.
    while len(shorter := _format(number, "")) < len(number) and shorter:
        number = shorter
    return number


def _format(spelling: str, region: str) -> str:
    phonenumbers = library()
    try:
        number = phonenumbers.parse(spelling, region or None)
    except phonenumbers.NumberParseException as error:
        is_unknown = error.error_type == error.INVALID_COUNTRY_CODE and spelling[:1] == "+"
        return "+" + phonenumbers.normalize_digits_only(spelling) if is_unknown else ""
    if number.extension or not (spelling[:1] == "+" or _is_national(number, spelling)):
        return ""
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _is_national(number: Any, spelling: str) -> bool:
    """Tell a national number from a foreign one that lacks its plus sign."""
    phonenumbers = library()
    if phonenumbers.is_valid_number(number):
        return True
    is_foreign = is_known("+" + phonenumbers.normalize_digits_only(spelling))
    return phonenumbers.is_possible_number(number) and not is_foreign


def _problem(text: str, number: str, region: str) -> str:
    if _is_power_of_ten(text):
        return _RUINED
    if library() is None:
        return _NO_EXTRA
    if not region and not _ABROAD.match(plain_text(text[:LONGEST_TEXT])):
        return _NO_COUNTRY
    return _WRONG_LENGTH if number and number[1:2] != "0" else _NO_NUMBER
