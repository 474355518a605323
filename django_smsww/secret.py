"""Text that must not be shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_NAMES = re.compile("token|key|secret|pass", re.IGNORECASE)
_MASK = "'********************'"


class Secret(str):
    """A token or key, as a string that hides itself where things are shown for inspection.

    Its `repr` is a mask, and so are those of the containers that it is in: debug pages, error
    reporters and `diffsettings` show no more. To use it is to use a string: `str(secret)`, an
    f-string and an HTTP header have the text. What is made of it, such as a slice, is no secret.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return _MASK


def masked(value: Any, name: object = "") -> Any:
    """Return a setting with all texts in it hidden that are secret by their names."""
    if isinstance(value, Mapping):
        return {inner: masked(content, inner) for inner, content in value.items()}
    if isinstance(value, str) and isinstance(name, str) and _NAMES.search(name):
        return Secret(value)
    return value
