"""The database part of a status report. It has no telephone numbers, texts or names of people."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Count, Max, Min, Q, Sum, Value
from django.db.models.functions import Coalesce

from ..backends.base import BaseSMSBackend
from ..models import Callback, Heartbeat, Message, MessageQuerySet, Suspension
from ..models.lease import SECONDS, longest_request
from ..models.settlement import GRACE
from ..reconcile.session import OVERDUE
from ..states import PROVIDER, UNFINISHED, State

CALLBACK_WAIT = timedelta(hours=1)
# A process can die just after its request began: its message becomes UNKNOWN after the lease.
PROOF_WAIT = timedelta(seconds=SECONDS) + GRACE
"""How long after the attempt, at the latest, `smsww_sync` can decide about an UNKNOWN message."""

SYNC_INTERVAL = timedelta(minutes=5)
"""How often, according to the documentation, `smsww_sync` runs."""

PENALTY_DAYS = 30
REFUSED = "refused:"

Data = dict[str, Any]


def read_records(backend: BaseSMSBackend, using: str, now: datetime) -> Data:
    """Return counts of an alias's messages, and the times of its last sweep and last sync."""
    everywhere = Message.objects.using(using).filter(alias=backend.alias)
    rows = everywhere.of(backend.alias, backend.environment)
    return read_open(backend, using, now) | {
        **_counts(rows, now),
        "unanswered": _unanswered(rows, now),
        "leased": read_leased(_due(rows, now), now),
        "at_once": rows.undue().filter(next_attempt_at__gt=now).count(),
        "foreign": _foreign(everywhere, backend.environment),
        "callbacks": _callbacks(rows, backend, using, now),
        "last_sweep_at": _last_beat(using, backend, "sweep"),
        "last_sync_at": _last_beat(using, backend, "sync"),
        "penalties": _penalties(rows, now),
    }


def _counts(rows: MessageQuerySet, now: datetime) -> Data:
    """Count unfinished messages by state, and all messages of the last 24 hours by state.

    One SQL statement reads both counts, so that they cannot contradict each other.
    """
    recent = rows.filter(created_at__gte=now - timedelta(days=1))
    waiting, last_day = (
        part.order_by().values_list("state").annotate(count=Count("pk"), part=Value(name))
        for name, part in (("waiting", rows.unfinished()), ("last_day", recent))
    )
    counts: dict[str, dict[str, int]] = {"waiting": {}, "last_day": {}}
    for state, count, part in waiting.union(last_day, all=True).order_by("state"):
        counts[part][state] = count
    return counts | {"waiting": _waiting(counts["waiting"])}


def read_leased(rows: MessageQuerySet, now: datetime) -> Data:
    """Return the number of leased rows (`count`), and the end of the last lease (`until`)."""
    leased = rows.filter(lease_token__isnull=False, lease_until__gte=now)
    return leased.aggregate(count=Count("pk"), until=Max("lease_until"))


def _unanswered(rows: MessageQuerySet, now: datetime) -> Data:
    """Return the number of SENDING rows whose process may have died, and their latest lease end."""
    late = rows.filter(
        state=State.SENDING, claimed_at__lt=now - longest_request(), lease_until__gte=now
    )
    return late.aggregate(count=Count("pk"), until=Max("lease_until"))


def read_open(backend: BaseSMSBackend, using: str, now: datetime) -> Data:
    """Return data about unfinished messages and suspensions, without reading the whole table."""
    rows = Message.objects.using(using).of(backend.alias, backend.environment)
    left = rows.annotate(left_at=Coalesce("claimed_at", "created_at"))
    accepted = left.filter(state__in=(State.NEW, State.PENDING))
    # Unfinished rows alone: counting all rows would read the whole table.
    counts = count_by_state(rows.unfinished())
    return {
        "waiting": _waiting(counts),
        "due": _span(_due(rows, now), "next_attempt_at"),
        "stalled": rows.filter(state=State.SENDING, lease_until__lt=now).count(),
        "unknown": _unknown(left, now),
        # The gateway no longer tries to deliver these.
        "overdue": _span(accepted.filter(left_at__lt=now - OVERDUE), "left_at"),
        "suspensions": _suspensions(backend, using, now),
    }


def read_refused(environment: str, using: str) -> dict[str, Data]:
    """Return, for each reason, the number of refused callbacks and the time of the last one."""
    beats = Heartbeat.objects.using(using).filter(environment=environment)
    return {
        beat.name.removeprefix(REFUSED): {"times": beat.times, "last_at": beat.beat_at}
        for beat in beats.filter(name__startswith=REFUSED).order_by("name")
    }


def count_by_state(rows: MessageQuerySet) -> dict[str, int]:
    return dict(rows.order_by("state").values_list("state").annotate(count=Count("pk")))


def _waiting(counts: dict[str, int]) -> dict[str, int]:
    return {state.value: counts.get(state, 0) for state in State if state in UNFINISHED}


def _due(rows: MessageQuerySet, now: datetime) -> MessageQuerySet:
    """Return the QUEUED rows that should be sent now, whether leased or not."""
    return rows.queued().filter(next_attempt_at__lte=now)


def _unknown(left: MessageQuerySet, now: datetime) -> Data:
    """Count all UNKNOWN rows (`count`), and the ones that a sync should have settled (`late`)."""
    late = Count("pk", filter=Q(left_at__lt=now - PROOF_WAIT - SYNC_INTERVAL))
    rows = left.filter(state=State.UNKNOWN)
    return rows.aggregate(count=Count("pk"), oldest_at=Min("left_at"), late=late)


def _span(rows: MessageQuerySet, name: str) -> Data:
    return rows.aggregate(count=Count("pk"), oldest_at=Min(name))


def _foreign(rows: MessageQuerySet, environment: str) -> dict[str, int]:
    """Count the QUEUED messages of other deployments. This deployment never sends them."""
    foreign = rows.queued().exclude(environment=environment).order_by("environment")
    return dict(foreign.values_list("environment").annotate(count=Count("pk")))


def _suspensions(backend: BaseSMSBackend, using: str, now: datetime) -> list[Data]:
    known = Suspension.objects.using(using).of(backend.alias, backend.environment)
    active = list(known.active(now).order_by("pk"))
    rows = Message.objects.using(using).of(backend.alias, backend.environment).queued()
    stops = [one.batch for one in active if one.is_stop]
    waiting = {str(batch) for [batch] in rows.filter(batch__in=stops).values_list("batch")}
    return [
        {
            "scope": one.scope.partition(":")[0],
            "batch": one.batch,
            "is_stop": one.is_stop,
            "error": one.error,
            "error_code": one.error_code,
            "reason": one.reason if one.error else "",
            "since": one.created_at,
            "until": one.until,
        }
        for one in active
        if not one.is_stop or one.batch in waiting  # a stop without waiting messages is over
    ]


def _callbacks(rows: MessageQuerySet, backend: BaseSMSBackend, using: str, now: datetime) -> Data:
    heard = Callback.objects.using(using).filter(
        source=Callback.Source.CALLBACK,
        message__alias=backend.alias,
        message__environment=backend.environment,
    )
    newest = heard.order_by("-received_at").values_list("received_at", flat=True).first()
    due_since = _first_awaited(rows, now) if getattr(backend, "callback_url", "") else None
    is_silent = due_since is not None and (newest is None or newest < due_since)
    return {
        "last_at": newest,
        "silent_since": due_since if is_silent else None,
        "refused": read_refused(backend.environment, using),
    }


def _first_awaited(rows: MessageQuerySet, now: datetime) -> datetime | None:
    """Return the time at which the first accepted message of the last 24 hours was sent, or None.

    Messages sent less than an hour ago are ignored, because their callbacks may still come.
    """
    accepted = rows.filter(
        created_at__gte=now - timedelta(days=1),
        claimed_at__lt=now - CALLBACK_WAIT,
        state__in=PROVIDER,
    )
    return accepted.aggregate(first=Min("claimed_at"))["first"]


def _last_beat(using: str, backend: BaseSMSBackend, name: str) -> datetime | None:
    beats = Heartbeat.objects.using(using).filter(environment=backend.environment)
    beats = beats.filter(name=f"{name}:{backend.alias}")
    return beats.values_list("beat_at", flat=True).first()


def _penalties(rows: MessageQuerySet, now: datetime) -> Data:
    fined = rows.filter(created_at__gte=now - timedelta(days=PENALTY_DAYS), penalty__gt=0)
    sums = fined.aggregate(messages=Count("pk"), amount=Sum("penalty"), last_at=Max("created_at"))
    return sums | {"days": PENALTY_DAYS, "amount": sums["amount"] or Decimal(0)}
