"""How far a command is, and when it will be done, for a person who watches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


@contextmanager
def progress(count: Callable[[], int]) -> Iterator[Callable[[int], object]]:
    """Yield a function to be told how many more messages are done, of so many.

    Nothing is shown or counted where nobody watches the standard error output, or without tqdm.
    """
    bar = _bar()
    if bar is None:
        yield lambda more: None
        return
    with bar(total=count(), unit=" messages") as shown:
        yield shown.update


def watched(items: Iterable[T], total: int) -> Iterator[T]:
    """Pass the items on, and show how far it is if somebody watches."""
    with progress(lambda: total) as advance:
        for item in items:
            yield item
            advance(1)


def _bar() -> Any:
    if not sys.stderr.isatty():
        return None
    try:
        from tqdm import tqdm  # an extra
    except ImportError:
        return None
    return tqdm
