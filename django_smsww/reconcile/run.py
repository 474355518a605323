"""Sync an alias: read the provider's list, look up single messages, and decide about UNKNOWN rows.

Each change of a row is one conditional UPDATE, so syncs, callbacks and workers can run at the same
time. No transaction is open during a request to the provider.
"""

import logging
from datetime import datetime, timedelta

from django.db import router
from django.db.models import Q
from django.utils import timezone

from ..backends.base import BaseSMSBackend
from ..backends.handler import sms_backends
from ..clock import database_now, project_time
from ..exceptions import ACCOUNT_ERRORS, SMSError
from ..gateway.errors import without_content
from ..gateway.signature import read_custom_stamp
from ..models import Heartbeat, Message, Outcome
from ..models.settlement import GRACE
from ..sms import SendResult
from ..states import State
from .matching import rows_named, scan
from .ownership import came_by_callback, names_another
from .report import SyncReport
from .session import OnRequest, Session, record
from .verdicts import settle

logger = logging.getLogger("django_smsww")

MAX_LOOKUPS = 200
MAX_FAILURES = 3


def sync(
    backend: BaseSMSBackend | str = "default",
    *,
    after_restore: datetime | None = None,
    grace: timedelta = GRACE,
    max_lookups: int = MAX_LOOKUPS,
    on_request: OnRequest | None = None,
) -> SyncReport:
    """Find out the outcome of an alias's UNKNOWN messages, and refresh its unfinished messages.

    Several syncs can run in parallel. A sync changes only rows of the backend's environment.
    An error of the provider is not raised, but ends the sync: see `error` of the report.

    Args:
        backend: the backend, or its alias.
        after_restore: the time at which the restored backup was made; see `hold_after_restore()`.
        grace: how long a request may still be under way after its row became UNKNOWN.
        max_lookups: the maximum number of messages that are looked up one by one.
        on_request: called with the report so far, after each request.
    """
    if isinstance(backend, str):
        backend = sms_backends[backend]
    using = router.db_for_write(Message)
    report = SyncReport(backend.alias, backend.environment)
    rows = Message.objects.using(using).of(backend.alias, backend.environment)
    rows.end_interrupted()
    rows.abandon()
    if after_restore:
        report.held = hold_after_restore(backend, after_restore)
    if not (backend.supports_fetch or backend.supports_fetch_page):
        report.skipped = "its backend can neither list messages nor look one up."
        return report
    restored_to = after_restore and project_time(after_restore)
    with backend:
        _run(Session(backend, using, report, grace, restored_to, on_request), max_lookups)
    if report.error is None and max_lookups:  # `refresh()` makes no full sync
        Heartbeat.objects.using(using).beat(backend.environment, f"sync:{backend.alias}")
    return report


def _run(session: Session, max_lookups: int) -> None:
    try:
        if session.backend.supports_fetch_page:
            scan(session)
        if session.backend.supports_fetch:
            _look_up_rest(session, max_lookups)
            _look_up_second_ids(session, max_lookups)
    except SMSError as error:
        session.report.error = error
    session.report.orphans.sort()
    session.settle_ownership()
    settle(session)


def hold_after_restore(backend: BaseSMSBackend, since: datetime) -> int:
    """Set rows to UNKNOWN if they may have been sent after the backup. Return how many were set.

    A row that is QUEUED or SENDING in the backup may have been sent later. A worker would send such
    a message again. So the caller must call this function before any worker starts.

    Args:
        since: the time of the backup, as an aware datetime. If in doubt, choose an earlier time.

    Raises:
        ValueError: `since` is naive, or in the future.
    """
    if timezone.is_naive(since):
        raise ValueError("since must be an aware datetime, such as 2030-01-31T12:00:00+00:00.")
    if since > timezone.now():
        raise ValueError("since must not be in the future.")
    using = router.db_for_write(Message)
    could_leave = Q(state=State.QUEUED, expires_at__gt=project_time(since))
    could_leave &= Q(send_at=None) | Q(send_at__lte=database_now(using))
    rows = Message.objects.using(using).of(backend.alias, backend.environment)
    rows = rows.filter(could_leave | Q(state=State.SENDING), dry_run=False)
    return sum(row.mark_restored() for row in list(rows.order_by("pk")))


def look_up(message: Message) -> Outcome | None:
    """Ask the provider about one accepted message, and store the answer.

    Return None if the provider does not know the message. The answer may correct a final state.

    Raises:
        ValueError: the message has no provider id.
        SMSError: the provider gave no usable answer.
    """
    if not message.provider_id:
        raise ValueError("The message has no provider's id: run smsww_sync to look for it.")
    try:
        result = sms_backends[message.alias].fetch(message.provider_id)
    except SMSError as error:
        # Put number and text into no variable: error reports show variables.
        error.detail = without_content(
            error.detail, (message.sent_to, message.recipient, message.body)
        )
        raise
    if result is None:
        return None
    now = database_now(message._state.db or router.db_for_write(Message))
    outcome = record(message, result, is_authority=True)
    Message.objects.using(message._state.db).filter(pk=message.pk).update(checked_at=now)
    return outcome


def _look_up_rest(session: Session, limit: int) -> None:
    """Look up at most `limit` messages. Begin with the rows in `session.disputed`."""
    rest = list(session.candidates.values())
    rest.sort(key=lambda row: (row.checked_at is not None, row.checked_at or session.now, row.pk))
    chosen = [row.pk for row in session.disputed] + [row.pk for row in rest]
    session.report.left = len(chosen[limit:])
    rows = session.rows.defer("body").in_bulk(chosen[:limit])
    failures = 0
    for row in (rows[pk] for pk in chosen[:limit] if pk in rows):
        try:
            _look_up_one(session, row)
            failures = 0
        except SMSError as error:
            failures += 1
            # One unreadable record must not keep the other messages from being looked up.
            if failures >= MAX_FAILURES or isinstance(error, ACCOUNT_ERRORS):
                raise


def _look_up_one(session: Session, row: Message) -> None:
    result = session.fetch(row.provider_id or "")
    if result is None:
        fields = {"reference": row.reference, "alias": row.alias}
        logger.warning("Message %s: the provider has no such message", row.reference, extra=fields)
        session.report.missing.append(row.reference)
        return
    session.report.looked += 1
    if names_another(row, result):
        _read_misnamed(session, row, result)
    elif session.record(row, result, is_authority=True) is Outcome.MOVED:
        session.report.corrected += row.is_final
    session.rows.filter(pk=row.pk).update(checked_at=session.now)


def _look_up_second_ids(session: Session, limit: int) -> None:
    """Look up the provider ids that callbacks stored in rows, if the list shows other ids there.

    The look-up shows to which message the stored id belongs.
    """
    for row, _ in session.ownership.named[:limit]:
        if not row.provider_id or row.provider_id in session.listing.seen:
            continue
        if row.alias == session.backend.alias and came_by_callback(row):
            result = session.fetch(row.provider_id)
            if result is None:
                session.ownership.misnamed.append(row)
            elif names_another(row, result):
                _read_misnamed(session, row, result)


def _read_misnamed(session: Session, row: Message, result: SendResult) -> None:
    if stamp := read_custom_stamp(result.custom):
        named = rows_named(session, [stamp])
        session.read_misnamed(row, result, named.get(stamp.reference))
