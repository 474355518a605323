"""Mark a text for translation where Django's own mark cannot be used."""

from __future__ import annotations


def gettext_noop(text: str) -> str:
    """Return the text as it is; `makemessages` finds it by the name of this function, or as `_`.

    Django's function of this name reads the settings, and the settings import this package.
    """
    return text
