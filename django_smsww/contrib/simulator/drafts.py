"""Read the body of a POST into a draft, for a text and for a one-time code."""

from __future__ import annotations

from typing import Any

from .ledger import Ledger
from .otp import SENDER, check_otp_options, new_code, write_text
from .segments import measure
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


def read_draft(payload: Any, route: str, ledger: Ledger) -> Draft:
    """Validate a request body; refuse it as the specification says."""
    fields = check_object(payload)
    draft = _read_otp(fields, ledger) if route == "otp" else _read_text(fields, route)
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


def _read_otp(fields: dict[str, Any], ledger: Ledger) -> Draft:
    recipient, prefix, country = check_recipient(fields, "otp")
    otp_options = check_otp_options(fields)
    code = ledger.last_code(recipient, otp_options) or new_code(otp_options)
    body = write_text(code, country)
    dry_run, fail_on_multiple = check_options(fields)
    return Draft(
        route="otp",
        recipient=recipient,
        sender=SENDER,
        body=body,
        prefix=prefix,
        country=country,
        size=measure(body),
        dry_run=dry_run,
        fail_on_multiple=fail_on_multiple,
        callback=check_callback(fields),
        otp={"otp": code, "otpOptions": otp_options},
    )
