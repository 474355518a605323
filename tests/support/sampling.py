"""Parameters of which a few are tried by default, and all where slow tests run too."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest


def slow_unless(is_sample: Callable[..., bool], values: Iterable[Any]) -> list[Any]:
    """Mark the values that are not in the sample as slow; a tuple is a value for each name."""
    rows = [value if isinstance(value, tuple) else (value,) for value in values]
    marks = {True: (), False: (pytest.mark.slow,)}
    return [pytest.param(*row, marks=marks[bool(is_sample(*row))]) for row in rows]
