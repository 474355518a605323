"""How far a command is, and when it will be done, for a person who watches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


@contextmanager
def progress(total: int | None) -> Iterator[Callable[[int], Any]]:
    """Yield a function to be told how many more messages are done.

    Nothing is shown where nobody watches the standard error output, or without tqdm.
    """
    bar = _bar(total)
    if bar is None:
        yield lambda count: None
        return
    with bar:
        yield bar.update


def watched(items: Iterable[T], total: int) -> Iterator[T]:
    """Pass the items on, and show how far it is if somebody watches."""
    with progress(total) as advance:
        for item in items:
            yield item
            advance(1)


def _bar(total: int | None) -> Any:
    if not sys.stderr.isatty():
        return None
    try:
        from tqdm import tqdm  # an extra
    except ImportError:
        return None
    return tqdm(total=total, unit=" messages")
