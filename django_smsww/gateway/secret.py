"""Text that must not be shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_NAMES = re.compile("token|key|secret|pass|auth|credential", re.IGNORECASE)
_MASK = "'********************'"


class Secret(str):
    """A token or key, as a string that hides itself from debug pages and error reports.

    Its `repr` is a mask, also inside containers: debug pages, error reporters and `diffsettings`
    show no more. As a string it has the text: in `str(secret)`, an f-string or an HTTP header.
    Strings made from it, such as a slice, are not masked.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return _MASK


def masked(value: Any, name: object = "") -> Any:
    """Return a setting in which texts with the name of a secret are masked."""
    if isinstance(value, Mapping):
        return {inner: masked(content, inner) for inner, content in value.items()}
    if isinstance(value, str) and isinstance(name, str) and _NAMES.search(name):
        return Secret(value)
    return value
