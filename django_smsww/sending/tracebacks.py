"""Keeps numbers and texts out of the reports of errors, which show the variables of each frame."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import DatabaseError
from django.views.decorators.debug import sensitive_variables

from ..exceptions import SMSError

P = ParamSpec("P")
R = TypeVar("R")


def discreet(function: Callable[P, R]) -> Callable[P, R]:
    """Let the function raise what became of a message from its own threshold.

    Django's debug page would show the arguments of each call on the way to a raised outcome, and
    keeps nothing back for `sensitive_variables`: so a traceback of ours has no such frames. A
    fault of the database keeps them, but not their variables, for its statements are written with
    the same values. Any other fault keeps all; there reports hide the values without DEBUG.
    """

    @sensitive_variables()
    @wraps(function)
    def threshold(*args: P.args, **kwargs: P.kwargs) -> R:
        handled = sys.exception()
        try:
            return function(*args, **kwargs)
        except (SMSError, DatabaseError) as error:
            outcome = _without_values(error, handled)
        del args, kwargs, handled
        raise outcome

    return threshold


def adiscreet(function: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    """Do the same for a coroutine function."""

    @sensitive_variables()
    @wraps(function)
    async def threshold(*args: P.args, **kwargs: P.kwargs) -> R:
        handled = sys.exception()
        try:
            return await function(*args, **kwargs)
        except (SMSError, DatabaseError) as error:
            outcome = _without_values(error, handled)
        del args, kwargs, handled
        raise outcome

    return threshold


def _without_values(error: Exception, handled: BaseException | None) -> Exception:
    """Take the frames from an outcome; empty those of a fault, and of what it came from.

    But none of what the caller was handling already: a coroutine that waits in it would be ended.
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
