"""The system checks, and their registration.

No check makes a request. The checks skip the aliases of a resolver, since its answers may come from
the database.
"""

from __future__ import annotations

from collections.abc import Callable

from django.core import checks

from . import aliases, callback_urls, database

TAG = "sms"

Check = Callable[..., list[checks.CheckMessage]]

ALWAYS: tuple[Check, ...] = (
    aliases.check_aliases,
    aliases.check_token,
    aliases.check_sender,
    callback_urls.check_callback_https,
    callback_urls.check_callback_url,
    callback_urls.check_callback_view,
    aliases.check_environment,
    aliases.check_default,
    aliases.check_task_queue,
    database.check_users,
)
ON_DEPLOY: tuple[Check, ...] = (
    aliases.check_development_backend,
    aliases.check_host,
    aliases.check_staging,
    callback_urls.check_callback_public,
)
OF_THE_DATABASE: tuple[Check, ...] = (
    database.check_sweeper,
    database.check_time_zones,
    database.check_characters,
)


def register_all() -> None:
    """Register the checks; those under `--deploy` are about production alone."""
    for check in ALWAYS:
        checks.register(check, TAG)
    for check in ON_DEPLOY:
        checks.register(check, TAG, deploy=True)
    for check in OF_THE_DATABASE:
        checks.register(check, checks.Tags.database)
