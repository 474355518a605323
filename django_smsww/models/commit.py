"""What follows a commit."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, update_wrapper
from typing import Any

from django.db import transaction


def after_commit(using: str, function: Callable[..., Any], *args: Any) -> None:
    """Call the function once the open transaction is committed, or now if there is none.

    What it raises is logged, and neither undoes the commit nor keeps other hooks from running.
    """
    # Django 6.1 logs a failing hook by its __qualname__, which a bare partial has not.
    hook = update_wrapper(partial(function, *args), function)
    transaction.on_commit(hook, using=using, robust=True)
