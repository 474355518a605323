"""Remove telephone numbers and texts from the stack frames that error reports show."""

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
    """Decorator: keep telephone numbers and texts out of the error reports of a function.

    Django's debug page shows the variables of each frame, and ignores `sensitive_variables` while
    DEBUG is on. So the frames of the decorated function are removed from an SMSError. A database
    error keeps its frames, because they show the cause, but the variables in them are deleted.
    Other exceptions keep everything. If DEBUG is off, Django hides the function's variables.
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
    """Do the same as `without_private_frames` for each step of a generator function."""

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
        self._generator.close()  # type: ignore[attr-defined]


def awithout_private_frames(function: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    """Do the same as `without_private_frames` for a coroutine function."""
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
    """Remove the frames from an SMSError, or the variables from the frames of another error.

    `handled` is the exception that the caller was handling, or None. The frames of `handled` keep
    their variables: a coroutine may wait in such a frame, and clearing it would end the coroutine.
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
