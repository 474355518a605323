"""What the arguments of several commands have in common."""

from __future__ import annotations

import math
from argparse import ArgumentTypeError


def seconds(text: str) -> float:
    """Read an interval between two runs: without a pause they would only load the machine."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.1 <= value <= 86400:
        raise ArgumentTypeError("write seconds, from 0.1 to 86400.")
    return value
