"""Messages under way whose alias is not defined, such as that of a tenant who left.

Nothing sends them or looks them up: a person has to define the alias again, or to end them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from django.db.models import Count

from ..backends.handler import sms_backends
from ..exceptions import InvalidSMSBackend
from ..models import Message
from .findings import ATTENTION, Finding

Data = dict[str, Any]


def find_gone(aliases: Iterable[str], using: str) -> dict[str, Data]:
    """Return the finding of each alias that has messages under way and is not defined.

    Those of other deployments do not count, for their settings may define it.

    Args:
        aliases: those that are defined, as far as they are known.
    """
    waiting = Message.objects.using(using).unfinished().filter(environment__in=_ours(aliases))
    counts: dict[str, dict[str, int]] = {}
    rows = waiting.order_by("alias", "state").values_list("alias", "state")
    for alias, state, count in rows.annotate(count=Count("pk")):
        counts.setdefault(alias, {})[state] = count
    return {
        alias: asdict(_finding(states))
        for alias, states in counts.items()
        if alias not in sms_backends
    }


def _ours(aliases: Iterable[str]) -> set[str]:
    environments = set()
    for alias in aliases:
        try:
            environments.add(sms_backends[alias].environment)
        except InvalidSMSBackend:
            continue
    return environments


def _finding(states: dict[str, int]) -> Finding:
    waiting = ", ".join(f"{count} {state}" for state, count in states.items())
    text = (
        f"SMSWW does not define this alias, so these are neither sent nor looked up: {waiting}. "
        "Define it again until they are over, or cancel and settle them in the admin."
    )
    return Finding(ATTENTION, "alias_gone", text)
