"""Profiles: each profile changes the simulator's behaviour in one point.

The gateway's behaviour in these points is not known, so a client should work with every profile.
"""

from collections.abc import Iterable

DESCRIPTIONS = {
    "custom-not-echoed": "callback.custom comes back neither in answers nor in callbacks",
    "callback-not-echoed": "message objects have no callback at all",
    "headers-not-sent": "callbacks come without the headers that were asked for",
    "oldest-first": "GET /messages lists the oldest message first",
    "pages-of-50": "GET /messages gives 50 messages at most",
    "list-late": "GET /messages shows a message after a minute (list-late=SECONDS: after so long)",
    "price-zero": "price and totalPrice are always 0, whatever the wallet pays",
    "payload-nested": 'callbacks carry {"data": {"data": message, "custom": custom}}',
    "payload-flat": "callbacks carry the bare message; custom is in its callback.custom",
    "empty-list-404": "an empty GET /messages answers 404",
    "gzip": "answers are compressed with gzip, although nobody asked for it",
    "deflate": "answers are compressed with deflate, although nobody asked for it",
    "numeric-ids": "ids are JSON numbers of 19 digits",
    "bare": "success bodies are not wrapped in data",
    "recipient-without-plus": "message objects spell the recipient 393331234567",
    "recipient-with-00": "message objects spell the recipient 00393331234567",
    "recipient-with-separators": "message objects spell the recipient +39 (0) 333-1234567",
    "blocklisted": "message objects say blocklisted: true, as the specification's example does",
    "recipient-missing": "message objects have no recipient",
}
_DEFAULT_SECONDS = {"list-late": 60.0}


class UnknownProfileError(ValueError):
    """A profile does not exist, or its value is not a number, as in "list-late=soon"."""


class Profiles:
    """The active profiles. `replace` changes all in one step, so that no thread sees a mixture."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._active: dict[str, float] = {}
        self.replace(names)

    def replace(self, names: Iterable[str]) -> None:
        """Activate these profiles, and deactivate all others."""
        self._active = dict(_parse(name) for name in names)

    def seconds(self, name: str) -> float:
        """Return the value of a profile in seconds, or 0 if the profile is not active."""
        return self._active.get(name, 0.0)

    def __contains__(self, name: str) -> bool:
        return name in self._active

    def names(self) -> list[str]:
        """List the active profiles in the format that `replace` accepts."""
        return [
            f"{name}={seconds:g}" if name in _DEFAULT_SECONDS else name
            for name, seconds in self._active.items()
        ]


def _parse(text: str) -> tuple[str, float]:
    name, separator, value = text.partition("=")
    if name not in DESCRIPTIONS or (separator and name not in _DEFAULT_SECONDS):
        raise UnknownProfileError(
            f"{text!r} is not a profile. Choose from: {', '.join(DESCRIPTIONS)}."
        )
    try:
        return name, float(value) if separator else _DEFAULT_SECONDS.get(name, 0.0)
    except ValueError:
        raise UnknownProfileError(f"{text!r}: what follows '=' must be seconds.") from None
