"""Read the body of a POST into a draft."""

from __future__ import annotations

from typing import Any

from .validation import (
    Draft,
    check_body,
    check_callback,
    check_object,
    check_options,
    check_recipient,
    check_sender,
    invalid,
)


def read_draft(payload: Any, route: str) -> Draft:
    """Validate a request body; refuse it as the specification says."""
    draft = _read_text(check_object(payload), route)
    if draft.fail_on_multiple and draft.size.segments > 1:
        raise invalid("The message exceeds the length of a single part.")
    return draft


def _read_text(fields: dict[str, Any], route: str) -> Draft:
    recipient, prefix, country = check_recipient(fields, route)
    sender = check_sender(fields, country)
    body, size = check_body(fields)
    dry_run, fail_on_multiple = check_options(fields)
    return Draft(
        route=route,
        recipient=recipient,
        sender=sender,
        body=body,
        prefix=prefix,
        country=country,
        size=size,
        dry_run=dry_run,
        fail_on_multiple=fail_on_multiple,
        callback=check_callback(fields),
    )
