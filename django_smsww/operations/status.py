"""The report of all aliases."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any

from django.utils import timezone

from ..backends.base import BaseSMSBackend
from ..backends.handler import sms_backends
from ..backends.openapi import SMSBackend
from ..callbacks.probe import probe as post_probe
from ..exceptions import InvalidSMSBackend, SMSBackendDoesNotExist
from .account import Provider
from .findings import ATTENTION, UNCLEAR, Finding, find
from .gone import find_gone
from .records import DEBIT_DAYS, read_records, spent_by_day

STATUSES = ("fine", ATTENTION, UNCLEAR)
"""What a report as a whole says, in the order of the exit codes."""

MIN_CREDIT = Decimal(1)
"""EUR; a worldwide message needs as much for each segment (specification 1.2.7)."""

Data = dict[str, Any]
_PARTS = ("backend", "environment", "probe", "records", "provider")


def collect(
    aliases: Iterable[str],
    *,
    using: str,
    gone: bool = False,
    offline: bool = False,
    probe: bool = False,
    min_credit: Decimal = MIN_CREDIT,
) -> Data:
    """Return how sending goes: counts, times and amounts, and what needs a person.

    It holds no number, no text, no token and no name of a person.

    Args:
        using: the database alias of the records.
        gone: report messages under way of aliases that are not defined, too.
        offline: ask nobody outside.
        probe: post a signed callback that does nothing to each callback_url.

    Raises:
        SMSBackendDoesNotExist: an alias is not defined.
    """
    now = timezone.now()
    reports = {
        alias: _report(alias, using, now, offline=offline, probe=probe, min_credit=min_credit)
        for alias in aliases
    }
    if gone:
        for alias, finding in find_gone(reports, using).items():
            reports[alias] = dict.fromkeys(_PARTS) | {"findings": [finding]}
    levels = {finding["level"] for report in reports.values() for finding in report["findings"]}
    return {
        # What needs a person needs one whatever else could not be told.
        "status": next((level for level in (ATTENTION, UNCLEAR) if level in levels), "fine"),
        "generated_at": now,
        "aliases": reports,
    }


def _report(
    alias: str, using: str, now: datetime, *, offline: bool, probe: bool, min_credit: Decimal
) -> Data:
    try:
        backend = sms_backends[alias]
    except SMSBackendDoesNotExist:
        raise
    except InvalidSMSBackend as error:
        finding = Finding(ATTENTION, "misconfigured", str(error))
        return dict.fromkeys(_PARTS) | {"findings": [asdict(finding)]}
    report: Data = {
        "backend": f"{type(backend).__module__}.{type(backend).__name__}",
        "environment": backend.environment,
        # First, so that the door writes down what it has refused before that is read.
        "probe": _probe(backend) if probe and not offline else None,
        "records": read_records(backend, using, now),
        "provider": None,
    }
    if isinstance(backend, SMSBackend) and not offline:
        report["provider"] = _provider(backend, using, now)
    findings = find(report, now, min_credit=min_credit)
    return report | {"findings": [asdict(finding) for finding in findings]}


def _probe(backend: BaseSMSBackend) -> Data:
    url = getattr(backend, "callback_url", "")
    if not url:
        return {"callback_url": False}
    method = getattr(backend, "callback_method", "JSON")
    came = post_probe(url, backend.environment, method=method)
    return {
        "callback_url": True,
        "fine": came.is_fine,
        "outcome": came.outcome,
        "text": came.text,
        "status": came.status,
        "seconds": came.seconds,
    }


def _provider(backend: SMSBackend, using: str, now: datetime) -> Data:
    since = _midnight(now, DEBIT_DAYS - 1)
    provider = Provider(backend).read(since)
    account = provider["account"]
    if account and account["debits"]:
        spent = spent_by_day(using, _sharing_the_wallet_of(backend), since)
        account["debits"] = _compare(account["debits"], spent)
    return provider


def _midnight(now: datetime, days: int) -> datetime:
    """Return the beginning of the day so many days ago, in the current time zone."""
    today = now.date() if timezone.is_naive(now) else timezone.localdate(now)
    midnight = datetime.combine(today - timedelta(days=days), time())
    return midnight if timezone.is_naive(now) else timezone.make_aware(midnight)


def _sharing_the_wallet_of(backend: SMSBackend) -> list[str]:
    aliases = [backend.alias]
    for alias in sms_backends:
        try:
            other = sms_backends[alias]
        except InvalidSMSBackend:
            continue
        if isinstance(other, SMSBackend) and backend.account.is_same_as(other.account):
            aliases.append(alias)
    return sorted(set(aliases))


def _compare(debits: Data, spent: Any) -> Data:
    """Return for each day what the wallet and what the rows say, and the gap between them.

    A gap has honest reasons: prices that are not known yet, a bundle that paid, another program
    that sends through the same account, a fine that is only estimated.
    """
    days = []
    for day in sorted({*debits["days"], *spent}):
        wallet = debits["days"].get(day, Decimal(0))
        ours = spent.get(day, {"rows": Decimal(0), "unpriced": 0})
        days.append({"day": day, "wallet": wallet, **ours, "gap": wallet - ours["rows"]})
    return {"complete": debits["complete"], "days": days}
