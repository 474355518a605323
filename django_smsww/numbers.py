"""Convert telephone numbers to E.164 ("+393331234567"), the form in the database.

Other spellings are accepted only if the package phonenumbers (the extra `numbers`) is installed.
"""

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
    """An object with `as_e164`, such as a number of django-phonenumber-field."""

    @property
    def as_e164(self) -> str: ...


Recipient = str | Promise | PhoneNumber

LONGEST_TEXT = 100
_ABROAD = re.compile(r"[^\d+]*(\+?00|\+)")
_is_power_of_ten = re.compile(r"\s*\+?[\d.,]+E\+?\d+\s*", re.IGNORECASE).fullmatch
_TRUNK_ZERO = re.compile(r"[(\[] ?0 ?[)\]]")
# Unicode categories: format characters, such as marks of text direction; and dashes.
_KINDS = {"Cf": "", "Pd": "-"}
# Dashes of other categories: the minus sign, and the Japanese mark of a long vowel.
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
    "recipient was changed by a spreadsheet into a form like 3.9E+11, and its last digits are "
    "lost. "
    "Format the column as text, and enter the numbers again."
)
_WRONG_LENGTH = _(
    "recipient must have 7 to 15 digits with the country code. "
    "Write it in E.164 with the plus sign, for example +393331234567."
)


def read_number(value: object, region: str = "") -> str:
    """Return a number in E.164.

    A number that is in no known numbering plan is accepted, because numbering plans change.

    Args:
        value: a string, or an object with `as_e164`, such as a number of django-phonenumber-field.
        region: the country (ISO 3166) of a number without a country code. If `region` is "",
            numbers must have a country code.

    Raises:
        InvalidSMS: `value` is not a telephone number. The error text says how to write a number,
            and does not show `value`.
    """
    text = as_text(value)
    if not isinstance(text, str):
        raise InvalidSMS("recipient must be a string, for example '+393331234567'.")
    number = text if library() is None else _parse(text, region)
    if is_e164(number):
        return number
    raise InvalidSMS(_problem(text, number, region))


def as_text(value: object) -> object:
    """Convert a lazy string, or an object with `as_e164`, to a string. Keep any other value."""
    value = getattr(value, "as_e164", value)
    return str(value) if isinstance(value, str | Promise) else value


def country_of(number: str) -> str | None:
    """Return the ISO 3166 code of a number's country, or None if the number has no country.

    Raise ImportError if the package phonenumbers is not installed.
    """
    phonenumbers = required_library()
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return None


def is_known(number: str) -> bool:
    """Whether a numbering plan contains this number; True if phonenumbers is not installed."""
    phonenumbers = library()
    if phonenumbers is None:
        return True
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return False


@cache
def library() -> Any:
    """Import and return the package phonenumbers. Return None if it is not installed."""
    try:
        return required_library()
    except ImportError:
        return None


def required_library() -> Any:
    import phonenumbers  # an extra, and slow to import

    return phonenumbers


# Each number is read several times before its row is written; a mass send reads all numbers first.
@lru_cache(maxsize=16_384)
def _parse(text: str, region: str) -> str:
    """Return the number in E.164. If the text is no number, return a string that is not E.164."""
    if len(text) > LONGEST_TEXT:
        return ""
    if is_e164(text) and _format(text, "") == text:
        return text
    plain = plain_text(text)
    if any(character.isalpha() for character in plain):
        return ""  # libphonenumber would read letters as keys of a telephone
    found = [number for each in _spellings(plain, region) if (number := _settled(each, region))]
    if len(found) < 2:
        return found[0] if found else ""
    return next(filter(is_known, found), found[-1])


def plain_text(text: str) -> str:
    """Replace special spaces, dashes and digits with plain ones. Remove "tel:" at the start."""
    text = normalize("NFKC", text).translate(_DASHES).strip()
    if text[:4].lower() == "tel:":
        text = text[4:]
    return "".join(map(_plain_character, text))


def _plain_character(character: str) -> str:
    if character.isdecimal():
        return str(decimal(character))
    return " " if character.isspace() else _KINDS.get(category(character), character)


def _spellings(text: str, region: str) -> Iterator[str]:
    """Yield the possible readings of a text, in the order in which `_parse` tries them."""
    abroad = _ABROAD.match(text)
    if region and not (abroad and abroad[1] == "+"):
        yield text  # in some countries, 00 does not start an international number
    if abroad:
        text = "+" + text[abroad.end() :].lstrip()
        yield text
        # "+44 (0)20" is dialled without the zero from abroad. In Italy the zero is dialled.
        if _TRUNK_ZERO.search(text):
            yield _TRUNK_ZERO.sub("", text)


def _settled(spelling: str, region: str) -> str:
    """Return the number in E.164, without trunk zeros (zeros dialled only inside the country)."""
    number = _format(spelling, region)
    # libphonenumber removes one trunk zero at a time.
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
    """Whether a number written without "+" belongs to the region with which it was parsed.

    Return False if the text looks like a foreign number whose "+" is missing.
    """
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
