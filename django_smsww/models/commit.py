"""Helpers for database transactions."""

from collections.abc import Callable
from functools import partial, update_wrapper
from typing import Any

from django.db import connections, transaction


def in_transaction(using: str) -> bool:
    """Return True if an atomic block is open, or autocommit is off."""
    connection = connections[using]
    return connection.in_atomic_block or not connection.get_autocommit()


def outside_transactions(view: Any) -> Any:
    """Exempt a view from ATOMIC_REQUESTS of every database.

    With ATOMIC_REQUESTS, an error in the view would roll back the rows that the view wrote. And a
    message could be sent only after the view returned its response.
    """
    for alias in connections:
        view = transaction.non_atomic_requests(using=alias)(view)
    return view


def after_commit(using: str, function: Callable[..., Any], *args: Any) -> None:
    """Call the function after the open transaction commits, or at once if no transaction is open.

    If the function raises an exception, Django only logs it. Other on-commit functions still run.
    """
    # Django 6.1 logs a failing hook by its __qualname__, and a plain partial has none.
    hook = update_wrapper(partial(function, *args), function)
    transaction.on_commit(hook, using=using, robust=True)
