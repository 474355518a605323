"""Keep numbers and texts out of error reports, which show the variables of each frame."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import DatabaseError
from django.views.decorators.debug import sensitive_variables

from ..exceptions import SMSError

P = ParamSpec("P")
R = TypeVar("R")


def without_private_frames(function: Callable[P, R]) -> Callable[P, R]:
    """Re-raise errors without the frames that hold numbers and texts.

    Django's debug page shows the arguments of each call on the way to an exception, and ignores
    `sensitive_variables` while DEBUG is on. So an SMSError starts at this wrapper. An error of the
    database keeps its frames, to show the cause, but they lose their variables: its statements
    hold the same values. Other exceptions keep everything; without DEBUG their values are hidden.
    """

    hiding = sensitive_variables()(function)

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        handled = sys.exception()
        try:
            return hiding(*args, **kwargs)
        except (SMSError, DatabaseError) as error:
            cleaned = _cleaned(error, handled)
        finally:  # this frame is in each report, and Sentry does not know `sensitive_variables`
            del args, kwargs, handled
        raise cleaned

    return call


def iterate_without_private_frames(function: Callable[P, Iterator[R]]) -> Callable[P, Iterator[R]]:
    """Do the same for each step of a generator function."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> Iterator[R]:
        return _Steps(function(*args, **kwargs))

    return call


class _Steps(Iterator[R]):
    def __init__(self, generator: Iterator[R]) -> None:
        self._generator = generator

    @without_private_frames
    def __next__(self) -> R:
        return next(self._generator)

    def close(self) -> None:
        """End the generator, like the method of that name."""
        self._generator.close()  # type: ignore[attr-defined]


def awithout_private_frames(function: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    """Do the same for a coroutine function."""

    hiding = sensitive_variables()(function)

    @wraps(function)
    async def call(*args: P.args, **kwargs: P.kwargs) -> R:
        handled = sys.exception()
        try:
            return await hiding(*args, **kwargs)
        except (SMSError, DatabaseError) as error:
            cleaned = _cleaned(error, handled)
        finally:
            del args, kwargs, handled
        raise cleaned

    return call


def _cleaned(error: Exception, handled: BaseException | None) -> Exception:
    """Return the error without frames, or without variables if the database raised it.

    The exception that the caller was handling already keeps its own: clearing a frame would end a
    coroutine that waits in it.
    """
    if isinstance(error, SMSError):
        return error.with_traceback(None)
    seen: set[int] = set()  # exceptions may name each other
    each: BaseException | None = error
    while each is not None and each is not handled and id(each) not in seen:
        seen.add(id(each))
        traceback.clear_frames(each.__traceback__)
        each = each.__cause__ or each.__context__
    return error
