"""One run for one alias: read the list, look up what it does not show, settle what is proved.

Every write is a conditional UPDATE of its own, so that two runs, callbacks and senders may be at
work at the same time; no transaction is open while the provider is asked.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import router
from django.db.models import Q
from django.utils import timezone

from ..backends.base import BaseSMSBackend
from ..backends.handler import sms_backends
from ..clock import database_now, project_time
from ..exceptions import SMSError
from ..models import Heartbeat, Message, Outcome
from ..models.settlement import GRACE
from ..states import State
from .lookups import look_up_the_others
from .matching import Reading
from .report import SyncReport
from .session import Watch, Work, enter
from .verdicts import settle

MAX_LOOKUPS = 200


def sync(
    backend: BaseSMSBackend | str = "default",
    *,
    using: str | None = None,
    after_restore: datetime | None = None,
    grace: timedelta = GRACE,
    max_lookups: int = MAX_LOOKUPS,
    watch: Watch | None = None,
) -> SyncReport:
    """Settle the unknown outcomes of one alias and refresh its unfinished messages.

    Only rows of the backend's own environment are touched. It may run as often as one likes, and
    several times at once. What the provider answers to end a run early is in the report's
    `error`.

    Args:
        backend: the backend, or its alias.
        using: the database alias.
        after_restore: when the backup was made that has been restored; see `hold`.
        grace: how long an attempt is taken to be still under way.
        max_lookups: how many messages that the list does not show are looked up singly.
        watch: called after each request with the report so far.
    """
    if isinstance(backend, str):
        backend = sms_backends[backend]
    using = using or router.db_for_write(Message)
    report = SyncReport(backend.alias, backend.environment)
    Message.objects.using(using).of(backend.alias, backend.environment).abandon()
    if after_restore:
        report.held = hold(backend, after_restore, using=using)
    if not (backend.supports_fetch or backend.supports_fetch_page):
        report.skipped = "its backend can neither list messages nor look one up."
        return report
    with backend:
        work = Work(backend, using, report, grace=grace, watch=watch)
        _run(work, after_restore and project_time(after_restore), max_lookups)
    if report.error is None:
        Heartbeat.objects.using(using).beat(backend.environment, f"sync:{backend.alias}")
    return report


def _run(work: Work, since: datetime | None, max_lookups: int) -> None:
    reading = Reading(work, since)
    try:
        if work.backend.supports_fetch_page:
            reading.read()
        if work.backend.supports_fetch:
            look_up_the_others(work, max_lookups)
    except SMSError as error:
        work.report.error = error
    work.report.orphans = sorted(reading.orphans)
    settle(work)


def hold(backend: BaseSMSBackend, since: datetime, *, using: str | None = None) -> int:
    """Hold the rows that may have been sent after a backup was made; return how many there were.

    Whatever stands QUEUED or SENDING in a restored database may have left since the backup, so it
    becomes UNKNOWN and is looked for like the others. Call this before any worker starts.

    Args:
        since: when the backup was made, aware; better too early than too late.
    """
    if timezone.is_naive(since):
        raise ValueError("since must be an aware datetime, such as 2030-01-31T12:00:00+00:00.")
    using = using or router.db_for_write(Message)
    could_leave = Q(state=State.QUEUED, expires_at__gt=project_time(since))
    could_leave &= Q(send_at=None) | Q(send_at__lte=database_now(using))
    rows = Message.objects.using(using).of(backend.alias, backend.environment)
    rows = rows.filter(could_leave | Q(state=State.SENDING), dry_run=False)
    return sum(row.hold() for row in list(rows.order_by("pk")))


def look_up(message: Message) -> Outcome | None:
    """Ask for one accepted message and record the answer; None if the provider has no such one.

    The provider's record of a single message is the authority: it may correct a final word.

    Raises:
        ValueError: the message has no provider's id.
        SMSError: the provider gave no usable answer.
    """
    if not message.provider_id:
        raise ValueError("The message has no provider's id: run smsww_sync to look for it.")
    result = sms_backends[message.alias].fetch(message.provider_id)
    if result is None:
        return None
    now = database_now(message._state.db or router.db_for_write(Message))
    outcome = enter(message, result, is_authority=True)
    Message.objects.using(message._state.db).filter(pk=message.pk).update(checked_at=now)
    return outcome
