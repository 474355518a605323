"""The rows' part of the report of one alias, without numbers, texts and names."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Count, Max, Min, Sum
from django.db.models.functions import Coalesce

from ..backends.base import BaseSMSBackend
from ..models import Callback, Heartbeat, Message, MessageQuerySet, Suspension
from ..reconcile.session import OVERDUE
from ..states import PROVIDER, UNFINISHED, State

CALLBACK_WAIT = timedelta(hours=1)
PENALTY_DAYS = 30
REFUSED = "refused:"

Data = dict[str, Any]


def read_records(backend: BaseSMSBackend, using: str, now: datetime) -> Data:
    """Return counts, ages and signs of life of this alias in this environment."""
    everywhere = Message.objects.using(using).filter(alias=backend.alias)
    rows = everywhere.of(backend.alias, backend.environment)
    return read_open(backend, using, now) | {
        "last_day": count_by_state(rows.filter(created_at__gte=now - timedelta(days=1))),
        "leased": _leased(rows, now),
        "foreign": _foreign(everywhere, backend.environment),
        "callbacks": _callbacks(rows, backend, using, now),
        "last_sweep_at": _last_beat(using, backend, "sweep"),
        "last_sync_at": _last_beat(using, backend, "sync"),
        "penalties": _penalties(rows, now),
    }


def read_open(backend: BaseSMSBackend, using: str, now: datetime) -> Data:
    """Return the part of the records that is cheap to read often: unfinished rows, suspensions."""
    rows = Message.objects.using(using).of(backend.alias, backend.environment)
    return {
        "waiting": _waiting(rows),
        "due": _due(rows, now),
        "stalled": rows.filter(state=State.SENDING, lease_until__lt=now).count(),
        "unknown": _unknown(rows),
        "overdue": _overdue(rows, now),
        "suspensions": _suspensions(backend, using, now),
    }


def read_refused(environment: str, using: str) -> dict[str, Data]:
    """Return how often callbacks were refused and when the last one was, by reason."""
    beats = Heartbeat.objects.using(using).filter(environment=environment)
    return {
        beat.name.removeprefix(REFUSED): {"times": beat.times, "last_at": beat.beat_at}
        for beat in beats.filter(name__startswith=REFUSED).order_by("name")
    }


def count_by_state(rows: MessageQuerySet) -> dict[str, int]:
    return dict(rows.order_by("state").values_list("state").annotate(count=Count("pk")))


def _waiting(rows: MessageQuerySet) -> dict[str, int]:
    # Unfinished rows alone: counting all rows would read the whole table.
    found = count_by_state(rows.unfinished())
    return {state.value: found.get(state, 0) for state in State if state in UNFINISHED}


def _span(rows: MessageQuerySet, name: str) -> Data:
    return rows.aggregate(count=Count("pk"), oldest_at=Min(name))


def _due(rows: MessageQuerySet, now: datetime) -> Data:
    """Count the due rows, and return since when the first of them is due."""
    return _span(rows.queued().filter(next_attempt_at__lte=now), "next_attempt_at")


def _leased(rows: MessageQuerySet, now: datetime) -> Data:
    """Count the queued rows under a lease, and return when the last lease ends."""
    leased = rows.queued().filter(lease_until__gte=now)
    return leased.aggregate(count=Count("pk"), until=Max("lease_until"))


def _unknown(rows: MessageQuerySet) -> Data:
    unknown = rows.filter(state=State.UNKNOWN)
    return unknown.aggregate(count=Count("pk"), oldest_at=Min(Coalesce("claimed_at", "created_at")))


def _overdue(rows: MessageQuerySet, now: datetime) -> Data:
    """Count accepted rows that the gateway no longer tries to deliver."""
    open_rows = rows.filter(state__in=(State.NEW, State.PENDING))
    open_rows = open_rows.annotate(left_at=Coalesce("claimed_at", "created_at"))
    return _span(open_rows.filter(left_at__lt=now - OVERDUE), "left_at")


def _foreign(rows: MessageQuerySet, environment: str) -> dict[str, int]:
    """Count the QUEUED rows of other deployments, which this one never sends."""
    foreign = rows.queued().exclude(environment=environment).order_by("environment")
    return dict(foreign.values_list("environment").annotate(count=Count("pk")))


def _suspensions(backend: BaseSMSBackend, using: str, now: datetime) -> list[Data]:
    known = Suspension.objects.using(using).of(backend.alias, backend.environment)
    return [
        {
            "scope": one.scope.partition(":")[0],
            "batch": one.scope.partition(":")[2] if one.scope.startswith("batch:") else "",
            "error": one.error,
            "error_code": one.error_code,
            "reason": one.reason if one.error else "",
            "since": one.created_at,
            "until": one.until,
        }
        for one in known.active(now).order_by("pk")
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
    """Return when the first message with an overdue callback left, of those of the last day."""
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
