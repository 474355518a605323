from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.utils import timezone

from ..backends.base import BaseSMSBackend
from ..backends.handler import sms_backends
from ..backends.openapi import SMSBackend
from ..callbacks.probe import probe as post_probe
from ..exceptions import InvalidSMSBackend, SMSBackendDoesNotExist
from .account import read_gateway
from .findings import ATTENTION, UNCLEAR, Finding, find
from .records import read_records

STATUSES = ("fine", ATTENTION, UNCLEAR)
"""The values of a report's `status`. A value's position here is the exit code of `smsww_status`."""

MIN_CREDIT = Decimal(1)
"""The credit in EUR that the route WW requires per segment (gateway specification 1.2.7)."""

Data = dict[str, Any]
_PARTS = ("backend", "environment", "staging", "probe", "records", "provider")


def collect(
    aliases: Iterable[str],
    *,
    using: str,
    offline: bool = False,
    probe: bool = False,
    min_credit: Decimal = MIN_CREDIT,
) -> Data:
    """Return the status report. It has no telephone numbers, texts, tokens or names of people.

    Args:
        using: the alias of the database with the messages.
        offline: make no request.
        probe: test each callback URL with a signed callback that changes nothing.
        min_credit: report a problem if the credit of the wallet is below this amount in EUR.

    Raises:
        SMSBackendDoesNotExist: one of the aliases is not in the setting SMSWW.
    """
    now = timezone.now()
    reports = {
        alias: _report(alias, using, now, offline=offline, probe=probe, min_credit=min_credit)
        for alias in aliases
    }
    levels = {finding["level"] for report in reports.values() for finding in report["findings"]}
    return {
        # "attention" outweighs "unclear".
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
        "staging": _staging(backend),
        # The probe comes before the records: by its callback, the view writes its refusals.
        "probe": _probe(backend) if probe and not offline else None,
        "records": read_records(backend, using, now),
        "provider": None,
    }
    if isinstance(backend, SMSBackend) and not offline:
        report["provider"] = read_gateway(backend)
    findings = find(report, now, min_credit=min_credit)
    return report | {"findings": [asdict(finding) for finding in findings]}


def _staging(backend: BaseSMSBackend) -> Data:
    """Return whether messages are redirected, and the number of allowed recipients (None: all)."""
    allowed = backend.allowed_recipients
    return {
        "redirected": bool(backend.redirect_to),
        "allowed": None if allowed is None and not backend.redirect_to else len(allowed or ()),
    }


def _probe(backend: BaseSMSBackend) -> Data:
    url = getattr(backend, "callback_url", "")
    if not url:
        return {"callback_url": False}
    method = getattr(backend, "callback_method", "JSON")
    came = post_probe(url, backend.environment, method=method)
    return {"callback_url": True, "fine": came.is_fine} | asdict(came)
