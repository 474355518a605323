"""Metrics for Prometheus. All processes export the same values, except for the credit."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from math import inf
from time import monotonic
from typing import Any

from django.db import DatabaseError, connections, router
from django.db.models import Count
from django.utils import timezone
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from django_smsww.backends.base import BaseSMSBackend
from django_smsww.backends.handler import sms_backends
from django_smsww.backends.openapi import SMSBackend
from django_smsww.exceptions import InvalidSMSBackend, SMSError
from django_smsww.models import Callback, Message, Outcome
from django_smsww.operations.records import count_by_state, read_open, read_refused
from django_smsww.states import State

CREDIT_SECONDS = 600
"""How many seconds a process reuses the credit before it asks the gateway again."""

_HOUR = timedelta(hours=1)
_GAUGES: dict[str, tuple[str, list[str]]] = {
    "smsww_up": ("1 if the history could be read, else 0", []),
    "smsww_messages": ("Unfinished messages", ["alias", "state"]),
    "smsww_messages_last_hour": ("Messages created in the last hour", ["alias", "state"]),
    "smsww_due_messages": ("Queued messages that should have left", ["alias"]),
    "smsww_due_age_seconds": ("Age of the oldest of them, or 0", ["alias"]),
    "smsww_unknown_age_seconds": ("Age of the oldest UNKNOWN message, or 0", ["alias"]),
    "smsww_stalled_messages": ("SENDING messages whose process has ended", ["alias"]),
    "smsww_overdue_messages": ("Messages that are not final after 48 hours", ["alias"]),
    "smsww_suspensions": ("Active suspensions", ["alias", "scope", "error"]),
    "smsww_credit_euros": ("Credit of the account", ["alias"]),
    "smsww_callbacks_last_hour": ("Different callbacks in the last hour", ["outcome"]),
}
_REFUSED = "smsww_callbacks_refused"

Samples = dict[tuple[str, ...], float]
"""Values of metrics. The key is a tuple: the name of the metric and the values of its labels."""


class SMSCollector(Collector):
    """Prometheus collector for the metrics of all aliases in the SMSWW setting.

    For aliases with `account_email` and `api_key`, the collector asks the gateway for the credit,
    at most every ten minutes. All other metrics come from the database.
    """

    def __init__(self) -> None:
        self._credits: dict[str, tuple[float, float | None]] = {}

    def describe(self) -> list[Any]:
        """Return an empty list, so that registering the collector does not read the database."""
        return []

    def collect(self) -> Iterable[Any]:
        """Read the metrics. On failure, `smsww_up` is 0 and the other metrics have no values."""
        families: dict[str, Any] = {
            name: GaugeMetricFamily(name, text, labels=labels)
            for name, (text, labels) in _GAUGES.items()
        }
        families[_REFUSED] = CounterMetricFamily(
            _REFUSED, "Refused callbacks", labels=["environment", "reason"]
        )
        for (name, *labels), value in self._read().items():
            families[name].add_metric(labels, value)
        return families.values()

    def _read(self) -> Samples:
        try:
            backends = [sms_backends[alias] for alias in sms_backends]
            samples = _read_history(backends, router.db_for_read(Message), timezone.now())
        except (InvalidSMSBackend, DatabaseError):
            return {("smsww_up",): 0}
        for backend in backends:
            credit = self._credit(backend)
            if credit is not None:
                samples["smsww_credit_euros", backend.alias] = credit
        return samples | {("smsww_up",): 1}

    def _credit(self, backend: BaseSMSBackend) -> float | None:
        if not isinstance(backend, SMSBackend) or not backend.account.is_configured:
            return None
        asked_at, credit = self._credits.get(backend.alias, (-inf, None))
        if monotonic() < asked_at + CREDIT_SECONDS:
            return credit
        try:
            credit = float(backend.account.wallet().credit)
        except SMSError:
            credit = None
        self._credits[backend.alias] = monotonic(), credit
        return credit


def _read_history(backends: list[BaseSMSBackend], using: str, now: datetime) -> Samples:
    # A metrics server starts a thread for each scrape, which would leave its connection open.
    with connections[using].temporary_connection():
        samples = _callbacks(using, now)
        for backend in backends:
            samples |= _open(backend.alias, read_open(backend, using, now), now)
            samples |= _last_hour(backend, using, now)
            for reason, refused in read_refused(backend.environment, using).items():
                samples[_REFUSED, backend.environment, reason] = refused["times"]
    return samples


def _open(alias: str, records: dict[str, Any], now: datetime) -> Samples:
    def age(name: str) -> float:
        oldest_at = records[name]["oldest_at"]
        return (now - oldest_at).total_seconds() if oldest_at else 0

    states: Samples = {
        ("smsww_messages", alias, state): n for state, n in records["waiting"].items()
    }
    suspensions = Counter((each["scope"], each["error"]) for each in records["suspensions"])
    return {
        **states,
        ("smsww_due_messages", alias): records["due"]["count"],
        ("smsww_due_age_seconds", alias): age("due"),
        ("smsww_unknown_age_seconds", alias): age("unknown"),
        ("smsww_stalled_messages", alias): records["stalled"],
        ("smsww_overdue_messages", alias): records["overdue"]["count"],
        **{("smsww_suspensions", alias, *key): n for key, n in suspensions.items()},
    }


def _last_hour(backend: BaseSMSBackend, using: str, now: datetime) -> Samples:
    rows = Message.objects.using(using).of(backend.alias, backend.environment)
    counts = count_by_state(rows.filter(created_at__gte=now - _HOUR))
    name = "smsww_messages_last_hour"
    return {(name, backend.alias, state): counts.get(state, 0) for state in State.values}


def _callbacks(using: str, now: datetime) -> Samples:
    heard = Callback.objects.using(using).filter(
        source=Callback.Source.CALLBACK, received_at__gte=now - _HOUR
    )
    counts = dict(heard.order_by().values_list("outcome").annotate(Count("pk")))
    name = "smsww_callbacks_last_hour"
    return {(name, outcome): counts.get(outcome, 0) for outcome in Outcome.values}
