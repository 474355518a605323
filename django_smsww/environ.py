"""Read an entry of the SMSWW setting from one URL, for example in an environment variable.

    SMSWW = {"default": sms_url(os.environ["SMS_URL"])}

The page Settings of the documentation (docs/settings.md) lists the URLs.
"""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from .exceptions import InvalidSMSBackend
from .gateway.secret import Secret

Options = dict[str, Any]

# In these options the plus sign belongs to a number; elsewhere in a query it is a space.
_with_numbers = re.compile(r"(?<![^&])(allowed_recipients|redirect_to)=[^&]*").sub
_TRUE = ("true", "1", "yes", "on")
_FALSE = ("false", "0", "no", "off")


def sms_url(url: str) -> dict[str, Any]:
    """Return the entry of the SMSWW setting that the URL describes.

    The token in the entry is a `Secret`, so its repr is masked. Do not store the URL itself in a
    setting such as SMS_URL. Django's debug page hides only settings whose names look secret, so the
    page would show the URL with the token.

    Raises:
        InvalidSMSBackend: the URL cannot be read. The error text never contains the token.
    """
    parts = _split(url)
    if parts.scheme not in _READERS:
        raise _invalid(f"must start with one of {', '.join(f'{name}://' for name in _READERS)}")
    backend, read = _READERS[parts.scheme]
    options = read(parts)
    return {
        "BACKEND": f"django_smsww.backends.{backend}.SMSBackend",
        "OPTIONS": options | _query(parts.query, taken=options),
    }


def _split(url: Any) -> SplitResult:
    if not isinstance(url, str) or not url.strip():
        raise _invalid("is empty: write openapi://TOKEN@production, or console:// to try things")
    try:
        return urlsplit(url.strip())
    except ValueError:
        raise _invalid("cannot be read: percent-encode the special characters in it") from None


def _openapi(parts: SplitResult) -> Options:
    # Not by `parts.username`: a token may hold a colon, which would begin a password.
    token, separator, host = parts.netloc.rpartition("@")
    if not separator or not token or not host:
        raise _invalid(f"must have a token and a host: {parts.scheme}://TOKEN@production")
    _refuse_path(parts)
    if parts.scheme == "openapi+http":
        host = f"http://{host}"
    elif host not in ("production", "sandbox"):
        host = f"https://{host}"
    return {"token": Secret(unquote(token)), "host": host}


def _simulator(parts: SplitResult) -> Options:
    if not parts.netloc or "@" in parts.netloc:
        raise _invalid("must have a host and no token: simulator://127.0.0.1:8000")
    _refuse_path(parts)
    return {"token": "simulator", "host": f"http://{parts.netloc}"}


def _file(parts: SplitResult) -> Options:
    if parts.netloc or not parts.path.strip("/"):
        raise _invalid("must have an absolute path: file:///var/tmp/sms")
    return {"file_path": unquote(parts.path)}


def _nothing(parts: SplitResult) -> Options:
    if parts.netloc:
        raise _invalid(f"must have nothing before its query: {parts.scheme}://")
    _refuse_path(parts)
    return {}


_READERS: dict[str, tuple[str, Callable[[SplitResult], Options]]] = {
    "openapi": ("openapi", _openapi),
    "openapi+http": ("openapi", _openapi),
    "simulator": ("openapi", _simulator),
    "console": ("console", _nothing),
    "locmem": ("locmem", _nothing),
    "dummy": ("dummy", _nothing),
    "file": ("filebased", _file),
}


def _refuse_path(parts: SplitResult) -> None:
    if parts.path.strip("/") or parts.fragment:
        raise _invalid(
            "must have nothing but a query after its host: percent-encode / ? # and @ in a token"
        )


def _query(query: str, *, taken: Options) -> Options:
    options: Options = {}
    query = _with_numbers(lambda found: found[0].replace("+", "%2B"), query)
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name in options or name in taken:
            raise _invalid(f"must not give {name!r} in its query, or give it once")
        options[name] = _cast(name, text)
    return options


def _cast(name: str, text: str) -> Any:
    # An option that is not in the table stays text; the backend refuses unknown ones.
    cast, wanted = _CASTS.get(name, (str, ""))
    try:
        return cast(text)
    except ValueError:
        raise _invalid(f"must give {wanted} as {name!r}") from None


def _flag(text: str) -> bool:
    if text.lower() not in _TRUE + _FALSE:
        raise ValueError
    return text.lower() in _TRUE


def _flag_or_path(text: str) -> bool | str:
    return text if "." in text else _flag(text)


def _codes(text: str) -> list[str]:
    return [code.strip() for code in text.split(",") if code.strip()]


def _limit(text: str) -> tuple[int, int]:
    count, seconds = text.split("/")
    return int(count), int(seconds)


_CASTS: dict[str, tuple[Callable[[str], Any], str]] = {
    "dry_run": (_flag, "true or false"),
    "fail_on_multiple_messages": (_flag, "true or false"),
    "replace_characters": (_flag, "true or false"),
    "queue": (_flag_or_path, "true, false or a dotted path"),
    "max_segments": (int, "an integer"),
    "max_segments_per_day": (int, "an integer"),
    "max_per_number": (_limit, "a count and seconds, such as 5/3600,"),
    "max_per_country": (_limit, "a count and seconds, such as 500/3600,"),
    "max_per_user": (_limit, "a count and seconds, such as 5/3600,"),
    "concurrency": (int, "an integer"),
    "callback_retry": (int, "an integer"),
    "expires_after": (int, "an integer of seconds"),
    "timeout": (float, "a number of seconds"),
    "api_key": (Secret, "text"),
    "allowed_countries": (_codes, "codes with commas between"),
    "allowed_recipients": (_codes, "numbers with commas between"),
}


def _invalid(text: str) -> InvalidSMSBackend:
    return InvalidSMSBackend(f"The SMS URL {text}.")
