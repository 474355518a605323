"""Send queued messages through a task queue of the project, such as Celery.

After the commit, this package calls the function in OPTIONS["queue"] with the alias and the primary
keys of the rows. If the task queue repeats a task, no message is sent twice, because a task leases
each row before it is sent. After a minute, `smsww_worker` sends the rows of lost tasks.
"""

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
"""The maximum number of messages that one task sends, so that other tasks can run in between."""

REST_SECONDS = 10.0
"""After an error of a task queue, `enqueue()` does not call the queue for this number of seconds.

Without this rest, each block of a mass send might wait for the time-out of a dead broker.
"""

_resting: dict[str, float] = {}


def enqueue(path: str, alias: str, primary_keys: Sequence[int]) -> None:
    """Give committed rows to a task queue; if the queue fails, leave the rows to `smsww_worker`.

    `path` is the dotted path of a function, whose errors are logged and not raised.
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
            "The messages stay queued for smsww_worker.",
            path,
            len(primary_keys),
            alias,
            type(error).__name__,
        )


def forget_failures() -> None:
    """Forget which task queues have failed, so that `enqueue()` calls these queues again."""
    _resting.clear()


def blocks_of(primary_keys: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
    """Yield blocks of rows that are still QUEUED: (priority, primary keys), most urgent first."""
    rows = Message.objects.using(router.db_for_write(Message)).queued()
    waiting = rows.filter(pk__in=primary_keys).order_by(*CLAIM_ORDER)
    for priority, group in groupby(waiting.values_list("priority", "pk"), key=itemgetter(0)):
        keys = (primary_key for _, primary_key in group)
        while block := list(islice(keys, TASK_ROWS)):
            yield priority, block


def deliver_block(alias: str, primary_keys: Sequence[int]) -> None:
    """Send the given rows that are still QUEUED, not leased, and not postponed.

    A repeated call sends no message twice. A message that cannot be sent now stays QUEUED.

    Raises:
        DatabaseError: the database is down. Messages whose requests had begun become UNKNOWN later.
            The other messages are still QUEUED. The task queue can safely repeat the call.
    """
    using = router.db_for_write(Message)
    # A repeated task must not hurry a row that was postponed. A row without an error was not
    # postponed, even if the clocks of two hosts disagree about its time.
    ready = Q(attempts=0) | Q(error="") | Q(next_attempt_at__lte=database_now(using))
    rows = Message.objects.using(using).queued().filter(ready, pk__in=primary_keys)
    waiting = list(rows.order_by(*CLAIM_ORDER).values_list("pk", flat=True))
    deliver(sms_backends[alias], waiting, using=using)
