"""Whether a transaction is open, calls that follow its commit, and views outside of one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, update_wrapper
from typing import Any

from django.db import connections, transaction


def in_transaction(using: str) -> bool:
    """Whether a rollback could still undo a statement: a block is open, or autocommit is off."""
    connection = connections[using]
    return connection.in_atomic_block or not connection.get_autocommit()


def outside_transactions(view: Any) -> Any:
    """Return a view that runs outside the transactions of requests, of every database.

    In one, a later error would undo the rows that the view wrote, and a message would leave only
    after the answer was made.
    """
    for alias in connections:
        view = transaction.non_atomic_requests(using=alias)(view)
    return view


def after_commit(using: str, function: Callable[..., Any], *args: Any) -> None:
    """Call the function once the open transaction is committed, or now if none is open.

    An exception of the function is logged. It undoes no commit and keeps no other hook from
    running.
    """
    # Django 6.1 logs a failing hook by its __qualname__, which a bare partial has not.
    hook = update_wrapper(partial(function, *args), function)
    transaction.on_commit(hook, using=using, robust=True)
