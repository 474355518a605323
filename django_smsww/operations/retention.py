"""Scrub (make anonymous) or delete old messages. Scrub or export all messages of one recipient.

Unfinished messages stay unchanged. Messages of other programs always count as finished, and their
`created_at` counts as the time of their end. Each function can be stopped and run again. Two
processes can run the same function in parallel.
"""

from collections import Counter as Counts
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial, reduce
from operator import or_
from typing import Any, TypeVar

from django.db import IntegrityError, connections, transaction
from django.db.models import (
    Case,
    CharField,
    Count,
    Exists,
    F,
    Model,
    OuterRef,
    Q,
    QuerySet,
    Value,
    When,
)
from django.db.models.functions import Concat, Substr
from django.utils import timezone

from ..models import (
    Batch,
    Callback,
    Counter,
    DailyTotal,
    Event,
    Message,
    MessageQuerySet,
    Preflight,
    Suppression,
)
from ..models.origin import FORGOTTEN, Origin
from ..models.queryset import certainly_not_sent
from ..models.totals import GROUP, SUMS
from ..states import UNFINISHED, State
from .days import created_day, grouped
from .protection import delete_in_parts, protector_in, protectors

BATCH = 500
UNSETTLED_REACH = timedelta(days=1)

_IS_OVER = ~Q(state__in=UNFINISHED) | Q(origin=Origin.ELSEWHERE)
"""Selects finished messages, and all messages of other programs."""

M = TypeVar("M", bound=Model)


@dataclass(frozen=True, slots=True)
class Erasure:
    """The result of erasing a number.

    Attributes:
        messages: how many messages were made anonymous.
        unfinished: for each state, how many messages were not changed because they are unfinished.
        suppressed: whether the number is on the do-not-send list, where it stays.
    """

    messages: int
    unfinished: dict[str, int]
    suppressed: bool


# By age


def to_scrub(using: str, before: datetime) -> MessageQuerySet:
    """Return the messages that ended before this time and still contain a telephone number."""
    return _unscrubbed(_ended(using, before))


def to_delete(using: str, before: datetime) -> MessageQuerySet:
    """Return the messages that ended before this time, except these:

    - A resend, if the original message did not end before this time. Without the row of its
      resend, the original would look as if nobody had resent it.
    - Messages created less than a day before or after an UNKNOWN message. If such a message were
      deleted, `smsww_sync` could match the list entry of the deleted message to the UNKNOWN one.
    - Messages that a foreign key of the project protects.
    """
    over = Q(resend_of=None) | Q(resend_of__finished_at__lt=before)
    unsettled = Message.objects.using(using).filter(
        state=State.UNKNOWN,
        created_at__gt=OuterRef("created_at") - UNSETTLED_REACH,
        created_at__lt=OuterRef("created_at") + UNSETTLED_REACH,
    )
    deletable = _ended(using, before).filter(over, ~Exists(unsettled))
    return deletable.exclude(reduce(or_, protectors(using).values(), Q(pk__in=[])))


def scrub(using: str, before: datetime, *, batch_size: int = BATCH) -> Iterator[int]:
    """Remove numbers, texts, custom data and callback payloads from old messages.

    After each block of `batch_size` messages, yield how many were scrubbed.
    """
    yield from _scrub(to_scrub(using, before), batch_size)
    _scrub_late_callbacks(using, before, batch_size)


def delete(
    using: str, before: datetime, *, batch_size: int = BATCH, kept: Counts | None = None
) -> Iterator[int]:
    """Add old messages to the daily totals, then delete the messages.

    After each block, yield the number of deleted messages. If a foreign key of the
    project protects a message, make the message anonymous instead.

    Args:
        kept: a counter, to which this function adds. It has the number of protected messages for
            each foreign key or model that protects them.
    """
    rows, kept = to_delete(using, before), Counts() if kept is None else kept
    delete_messages, keep = partial(_delete_messages, rows), partial(_keep, using, kept)
    for keys in _batches(rows, batch_size):
        yield delete_in_parts(keys, delete_messages, keep)
    for name, protected in protectors(using).items():
        held = _ended(using, before).filter(protected)
        kept[name] += held.count()
        deque(_scrub(_unscrubbed(held), batch_size), maxlen=0)
    _delete_remains(using, before, batch_size)


def _scrub(rows: MessageQuerySet, size: int) -> Iterator[int]:
    for keys in _batches(rows, size):
        with transaction.atomic(using=rows.db):
            mine = _lock(rows, keys)
            _forget(rows.db, mine)
        yield len(mine)


def _delete_messages(rows: MessageQuerySet, keys: Sequence[int]) -> int:
    with transaction.atomic(using=rows.db):
        mine = Message.objects.using(rows.db).filter(pk__in=_lock(rows, keys))
        _add_up(mine)
        _, deleted = mine.delete()
    return deleted.get(Message._meta.label, 0)


def _keep(using: str, kept: Counts, key: int, error: IntegrityError) -> None:
    kept[protector_in(error)] += 1
    row = Message.objects.using(using).filter(pk=key)
    deque(_scrub(_unscrubbed(row), 1), maxlen=0)


def _ended(using: str, before: datetime) -> MessageQuerySet:
    # A row that ended before was also created before, and only `created_at` has an index.
    rows = Message.objects.using(using).filter(created_at__lt=before)
    return rows.filter(_IS_OVER, Q(finished_at__lt=before) | Q(origin=Origin.ELSEWHERE))


def _unscrubbed(rows: MessageQuerySet) -> MessageQuerySet:
    return rows.exclude(recipient__endswith=FORGOTTEN)


def _batches(rows: QuerySet[M], size: int) -> Iterator[list[Any]]:
    last = 0
    ordered = rows.order_by("pk").values_list("pk", flat=True)
    while keys := list(ordered.filter(pk__gt=last)[:size]):
        yield keys
        last = keys[-1]


def _lock(rows: MessageQuerySet, keys: Sequence[int]) -> list[int]:
    """Lock those rows of the queryset that have these primary keys. Return their keys."""
    mine = rows.filter(pk__in=keys).order_by("pk")
    features = connections[rows.db].features
    if features.has_select_for_update_skip_locked and features.has_select_for_update_of:
        mine = mine.select_for_update(skip_locked=True, of=("self",))
    else:
        # Begin with a write that changes nothing. SQLite ends a transaction with an error if it
        # reads, another transaction writes, and then it writes.
        mine.order_by().update(updated_at=F("updated_at"))
    return list(mine.values_list("pk", flat=True))


def _forget(using: str, keys: Sequence[int], **more: Any) -> None:
    """Make messages, their callbacks and their events anonymous. The caller has locked the rows."""
    columns = {
        # Without its number the row cannot be sent again, so its key must be free for a new row.
        "key": Case(
            When(certainly_not_sent() | Q(key__contains=Substr("recipient", 2)), then=Value(None)),
            default=F("key"),
        ),
        "recipient": Case(
            When(prefix="", then=Value(FORGOTTEN)),
            default=Concat(Value("+"), F("prefix"), Value(FORGOTTEN)),
            output_field=CharField(),
        ),
        "recipient_reversed": "",
        "redirected_to": None,
        "body": "",
        "custom": {},
        "error_text": "",
        "blocklisted_reason": "",
        "scrubbed": True,
        "updated_at": timezone.now(),
    }
    Message.objects.using(using).filter(pk__in=keys).update(**columns, **more)
    Callback.objects.using(using).filter(message__in=keys).update(payload={})
    events = Event.objects.using(using)
    events.filter(message__in=keys).update(error_text="")
    events.bulk_create(Event(message_id=key, kind=Event.Kind.SCRUBBED) for key in keys)


def _scrub_late_callbacks(using: str, before: datetime, size: int) -> None:
    """Empty the payloads of old callbacks that `_forget()` did not change.

    These callbacks have no message, or arrived after their message was made anonymous.
    """
    of_nobody = Q(message=None) | Q(message__recipient__endswith=FORGOTTEN)
    late = Callback.objects.using(using).filter(of_nobody, received_at__lt=before)
    for keys in _batches(late.exclude(payload={}), size):
        Callback.objects.using(using).filter(pk__in=keys).update(payload={})


def _delete_remains(using: str, before: datetime, size: int) -> None:
    """Delete preflights, counters, callbacks and batches that are older than the time `before`.

    Callbacks and batches that have a message are kept.
    """
    callbacks = Callback.objects.using(using)
    for keys in _batches(callbacks.filter(message=None, received_at__lt=before), size):
        delete_in_parts(
            keys,
            lambda keys: callbacks.filter(pk__in=keys).delete()[0],
            lambda key, _error: callbacks.filter(pk=key).update(payload={}),
        )
    empty = ~Exists(Message.objects.filter(batch=OuterRef("reference")))
    Batch.objects.using(using).filter(empty, created_at__lt=before).delete()
    Preflight.objects.using(using).filter(created_at__lt=before).delete()
    Counter.objects.using(using).filter(window__lt=before).delete()


def _add_up(rows: MessageQuerySet) -> None:
    """Add these messages to the daily totals."""
    groups = grouped(rows.annotate(day=created_day()), *GROUP)
    # Always in this order, so that two processes never wait for each other.
    for group in list(groups.order_by(*GROUP)):
        DailyTotal.objects.using(rows.db).add(dict(zip(GROUP + SUMS, group, strict=True)))


# By number


def erase(using: str, number: str) -> Erasure:
    """Scrub all finished messages that were addressed to this number or redirected to it.

    Counts and costs are kept. If the number is on the do-not-send list, its entry is kept: without
    this entry, the number would get messages again.
    """
    rows = Message.objects.using(using).filter(Q(recipient=number) | Q(redirected_to=number))
    over = rows.filter(_IS_OVER)
    count = 0
    for keys in _batches(over, BATCH):
        with transaction.atomic(using=using):
            mine = _lock(over, keys)
            _forget(using, mine, fingerprint="")
            Event.objects.using(using).filter(message__in=mine).update(reason="")
        count += len(mine)
    left = rows.values_list("state").annotate(count=Count("pk")).order_by("state")
    return Erasure(count, dict(left), _suppressions(using, number).exists())


def export(using: str, number: str) -> dict[str, Any]:
    """Return all messages to a number, and its entry in the do-not-send list, as plain data."""
    messages = Message.objects.using(using).filter(recipient=number).order_by("pk")
    return {
        "number": number,
        "exported_at": timezone.now(),
        "do_not_send": _suppressions(using, number).values("reason", "created_at").first(),
        "messages": [_with_history(message) for message in messages],
    }


def _suppressions(using: str, number: str) -> QuerySet[Suppression]:
    return Suppression.objects.using(using).filter(recipient=number)


_INTERNAL = {"id", "message_id", "digest", "fingerprint", "lease_token", "lease_until"}
_INTERNAL |= {"recipient_reversed", "resend_of_id"}
_LEFT_OUT = _INTERNAL | {"created_by_id", "user_id", "redirected_to"}  # the last three: staff


def _with_history(message: Message) -> dict[str, Any]:
    return _columns(message) | {
        "callbacks": [_columns(heard) for heard in message.callbacks.order_by("pk")],
        "events": [_columns(event) for event in message.events.order_by("pk")],
    }


def _columns(row: Model) -> dict[str, Any]:
    names = [field.attname for field in row._meta.concrete_fields]
    return {name: getattr(row, name) for name in names if name not in _LEFT_OUT}
