"""Where queued messages meet the engine that a project already runs.

An engine is a function, named in OPTIONS["queue"], that is called with an alias and primary keys
once the rows are committed. It may lose them, repeat them or be down: leases decide who sends, and
`smsww_worker` sends what no engine has taken within a minute.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from operator import itemgetter

from django.db import router
from django.db.models import Q
from django.utils.module_loading import import_string

from ..backends.handler import sms_backends
from ..clock import database_now
from ..models import Message
from ..models.queryset import CLAIM_ORDER
from .queue import deliver

logger = logging.getLogger("django_smsww")

BLOCK = 250
"""How many messages a task has: many enough to be cheap, few enough to let others in between."""

REST = 10.0
"""Seconds for which an engine that has failed is not asked again.

A mass send tells it of a block at a time, and each may have to wait until a dead broker is found
to be dead.
"""

_resting: dict[str, float] = {}


def tell(path: str, alias: str, primary_keys: Sequence[int]) -> None:
    """Hand committed rows to an engine; what it does not take, `smsww_worker` will.

    Nothing is raised: whoever has just sent cannot mend a broker, and the rows are safe.
    """
    if time.monotonic() < _resting.get(path, 0):
        return
    try:
        import_string(path)(alias, primary_keys)
    except Exception as error:
        _resting[path] = time.monotonic() + REST
        # The error's text may quote the address of a broker with its password.
        logger.error(
            "The engine %s did not take %d messages of %r: %s. They stay queued for smsww_worker.",
            path,
            len(primary_keys),
            alias,
            type(error).__name__,
        )


def forget_failures() -> None:
    """Ask every engine again, as after a start."""
    _resting.clear()


def blocks_of(primary_keys: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
    """Yield blocks of those rows that still wait, the urgent first, each with its priority."""
    rows = Message.objects.using(router.db_for_write(Message)).queued()
    waiting = rows.filter(pk__in=primary_keys).order_by(*CLAIM_ORDER)
    for priority, group in groupby(waiting.values_list("priority", "pk"), key=itemgetter(0)):
        keys = (primary_key for _, primary_key in group)
        while block := list(islice(keys, BLOCK)):
            yield priority, block


def deliver_block(alias: str, primary_keys: Sequence[int]) -> None:
    """Send those of these rows that nobody has sent or leased; harmless when repeated.

    What became of them is for the rows to say. What could not be sent for now is queued again.

    Raises:
        DatabaseError: the database is away. What is on its way is settled later, the rest is
            still QUEUED; an engine may repeat the call.
    """
    using = router.db_for_write(Message)
    # What was tried and put off has its time: a task that is given out again must not hurry it.
    # Without an error nothing was put off, whatever the clocks of two hosts make of its time.
    ready = Q(attempts=0) | Q(error="") | Q(next_attempt_at__lte=database_now(using))
    rows = Message.objects.using(using).queued().filter(ready, pk__in=primary_keys)
    waiting = list(rows.order_by(*CLAIM_ORDER).values_list("pk", flat=True))
    deliver(sms_backends[alias], waiting, using=using)
