"""The task queues that a project runs already, such as Celery, may send queued messages.

A project names a function in OPTIONS["queue"]. After the commit, we call it with the alias and the
primary keys. The task queue may lose them, repeat them or be down: leases decide who sends, and
`smsww_worker` sends the rows that no task has sent within a minute.
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

TASK_ROWS = 250
"""How many messages a task has: many enough to be cheap, few enough to let others in between."""

REST_SECONDS = 10.0
"""For how long we do not call a task queue that has failed.

A mass send calls once for each block, and each call may have to wait for a dead broker.
"""

_resting: dict[str, float] = {}


def enqueue(path: str, alias: str, primary_keys: Sequence[int]) -> None:
    """Give committed rows to a task queue; `smsww_worker` sends those that it does not take.

    It raises nothing: the caller cannot repair a broker, and the rows are safe.
    """
    if time.monotonic() < _resting.get(path, 0):
        return
    try:
        import_string(path)(alias, primary_keys)
    except Exception as error:
        _resting[path] = time.monotonic() + REST_SECONDS
        # The error's text may quote the address of a broker with its password.
        logger.error(
            "The task queue %s did not take %d messages of %r: %s. "
            "They stay queued for smsww_worker.",
            path,
            len(primary_keys),
            alias,
            type(error).__name__,
        )


def forget_failures() -> None:
    """Call every task queue again, as after a start."""
    _resting.clear()


def blocks_of(primary_keys: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
    """Yield blocks of the rows that are still queued, the urgent first, each with its priority."""
    rows = Message.objects.using(router.db_for_write(Message)).queued()
    waiting = rows.filter(pk__in=primary_keys).order_by(*CLAIM_ORDER)
    for priority, group in groupby(waiting.values_list("priority", "pk"), key=itemgetter(0)):
        keys = (primary_key for _, primary_key in group)
        while block := list(islice(keys, TASK_ROWS)):
            yield priority, block


def deliver_block(alias: str, primary_keys: Sequence[int]) -> None:
    """Send those of these rows that nobody has sent or leased; a repeated call does no harm.

    The rows say how it ended. A message that could not be sent for now is queued again.

    Raises:
        DatabaseError: the database is away. Requests under way are settled later, other rows are
            still QUEUED; the task queue may repeat the call.
    """
    using = router.db_for_write(Message)
    # A repeated task must not hurry a row that was postponed. A row without an error was not
    # postponed, even if the clocks of two hosts disagree about its time.
    ready = Q(attempts=0) | Q(error="") | Q(next_attempt_at__lte=database_now(using))
    rows = Message.objects.using(using).queued().filter(ready, pk__in=primary_keys)
    waiting = list(rows.order_by(*CLAIM_ORDER).values_list("pk", flat=True))
    deliver(sms_backends[alias], waiting, using=using)
