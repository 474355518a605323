"""Tokens and keys that must not be shown."""

import re
from collections.abc import Mapping
from typing import Any

_NAMES = re.compile("token|key|secret|pass|auth|credential", re.IGNORECASE)
_MASK = "'********************'"


class Secret(str):
    """A token or key: a string that debug pages and error reports do not show.

    The `repr` of a Secret is a mask, also inside containers. Debug pages, error reporters and
    `diffsettings` show only this mask. `str(secret)`, an f-string and an HTTP header contain the
    real value. A string made from a Secret, such as a slice, is not masked.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return _MASK


def masked(value: Any, name: object = "") -> Any:
    """Copy an entry of SMSWW, and turn its secret texts into Secrets.

    A text is secret if its key has a name such as "token" or "api_key".
    """
    if isinstance(value, str):
        return Secret(value) if isinstance(name, str) and _NAMES.search(name) else value
    if isinstance(value, Mapping):
        return {inner: masked(content, inner) for inner, content in value.items()}
    return value
