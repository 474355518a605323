"""Looks messages up singly: those that the list did not show, or of which it says another end."""

from __future__ import annotations

import logging
from datetime import timedelta

from ..exceptions import AccountBlocklisted, InsufficientCredit, InvalidToken, SMSError
from ..models import Message, Outcome
from ..states import FINAL
from .session import Open, Work

logger = logging.getLogger("django_smsww")

MAX_FAILURES = 3
_HOPELESS = (InvalidToken, InsufficientCredit, AccountBlocklisted)


def look_up_the_others(work: Work, limit: int) -> None:
    """Look up to `limit` messages up, those first that were not for the longest."""
    open_rows = [row for row in work.wanted.values() if _is_worth_a_request(row, work)]
    open_rows.sort(key=lambda row: (row.checked_at is not None, row.checked_at or work.now, row.pk))
    chosen = [row.pk for row in work.disputed] + [row.pk for row in open_rows]
    work.report.left = len(chosen[limit:])
    rows = work.rows.defer("body").in_bulk(chosen[:limit])
    failures = 0
    for row in (rows[pk] for pk in chosen[:limit] if pk in rows):
        try:
            _look_up(work, row)
            failures = 0
        except SMSError as error:
            failures += 1
            # One message that cannot be read must not keep the others from being looked up.
            if failures >= MAX_FAILURES or isinstance(error, _HOPELESS):
                raise


def _is_worth_a_request(row: Open, work: Work) -> bool:
    # A price that is still missing can wait for the list, or for the next hour.
    is_recent = row.checked_at is not None and row.checked_at > work.now - timedelta(hours=1)
    return row.state not in FINAL or (row.total_price is None and not is_recent)


def _look_up(work: Work, row: Message) -> None:
    result = work.fetch(row.provider_id or "")
    if result is None:
        fields = {"reference": row.reference, "alias": row.alias}
        logger.warning("Message %s: the provider has no such message", row.reference, extra=fields)
        work.report.missing.append(row.reference)
        return
    work.report.looked += 1
    if work.enter(row, result, is_authority=True) is Outcome.MOVED:
        work.report.corrected += row.is_final
    work.rows.filter(pk=row.pk).update(checked_at=work.now)
