"""The quotas of an alias, which the workers on all hosts share.

A worker reserves quota before it sends messages, so all workers together never exceed a quota.
Afterwards, the worker releases the quota of the messages that were not sent. A quota applies to a
window of time, such as a day. If a worker dies, its reservations last until the window ends.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation.trans_null import gettext_noop as _

from ..backends.base import BaseSMSBackend
from ..clock import database_now, day_bounds, day_of, window_of
from ..exceptions import ContentRefused, SMSError, SMSLimited, SMSOutcomeUnknown
from ..models import Counter, Message
from ..models.counters import CounterQuerySet
from ..numbers import country_of
from ..sms import SMS

DAILY = "max_segments_per_day"
GUARDS = ("max_per_user", "max_per_number", "max_per_country")

_UNTIL = _(
    "SMSWW[%(alias)r]: the limit %(option)s (%(most)d) is reached; nothing was sent; "
    "try again after %(end)s"
)
_FOR_SECONDS = _(
    "SMSWW[%(alias)r]: the limit %(option)s (%(most)d) is reached; nothing was sent; "
    "try again in %(seconds)d seconds"
)


@dataclass(frozen=True, slots=True)
class Cap:
    """One quota: the maximum number of messages (`most`) between the times `begins` and `ends`.

    For the option `max_segments_per_day`, `most` counts segments instead of messages.
    """

    alias: str
    option: str
    scope: str
    begins: datetime
    ends: datetime
    most: int

    @property
    def is_daily(self) -> bool:
        """Whether this is the daily quota of segments. Excess messages wait for the next day."""
        return self.option == DAILY

    def amount(self, message: Message) -> int:
        return message.segments or 1 if self.is_daily else 1

    def as_error(self, now: datetime) -> SMSLimited:
        seconds = (self.ends - now).total_seconds()
        return SMSLimited(
            _UNTIL if self.is_daily else _FOR_SECONDS,
            params={
                "alias": self.alias,
                "option": self.option,
                "most": self.most,
                "end": f"{self.ends:%Y-%m-%d %H:%M} {timezone.get_default_timezone_name()}",
                "seconds": max(1, round(seconds)),
            },
            code=self.option,
            retry_after=max(0.0, seconds),
        )


@dataclass
class Quotas:
    """The quota that one worker has reserved for each of its messages."""

    backend: BaseSMSBackend
    using: str
    reserved: dict[int, list[tuple[Cap, int]]] = field(default_factory=lambda: defaultdict(list))

    def reserve(self, messages: Iterable[Message]) -> list[tuple[Message, Cap]]:
        """Reserve quota for these messages, and return the messages that exceed a quota.

        Each returned message comes with the quota that the message exceeds. A returned message may
        still hold reservations of other quotas. So the caller must call `release()` for it, too.
        """
        now = database_now(self.using)
        waiting, beyond = list(messages), []
        for option in (*GUARDS, DAILY):
            for cap, group in _by_cap(self.backend, option, waiting, now).items():
                beyond += [(message, cap) for message in self._without_room(cap, group)]
            refused = {message.pk for message, _cap in beyond}
            waiting = [message for message in waiting if message.pk not in refused]
        return beyond

    def release(self, primary_keys: Iterable[int]) -> None:
        """Give back the quota that was reserved for these messages, because they were not sent."""
        unused: dict[Cap, int] = defaultdict(int)
        for primary_key in primary_keys:
            for cap, amount in self.reserved.pop(primary_key, ()):
                unused[cap] += amount
        for cap, amount in unused.items():
            self._counters.give_back(cap.scope, cap.begins, amount)

    def spend(self, primary_keys: Iterable[int]) -> None:
        """Treat the quota that is reserved for these messages as used, because they were sent."""
        for primary_key in primary_keys:
            self.reserved.pop(primary_key, None)

    def _without_room(self, cap: Cap, group: Sequence[Message]) -> list[Message]:
        """Reserve this quota for as many messages as possible, and return the other messages."""
        if self._reserve(cap, group):
            return []
        # They do not all fit: try each message that is not larger than the rest of the quota.
        room = cap.most - self._counters.used(cap.scope, cap.begins)
        return [
            message
            for message in group
            if len(group) == 1 or cap.amount(message) > room or not self._reserve(cap, [message])
        ]

    def _reserve(self, cap: Cap, group: Sequence[Message]) -> bool:
        amount = sum(map(cap.amount, group))
        if not self._counters.take(cap.scope, cap.begins, amount, cap.most):
            return False
        for message in group:
            self.reserved[message.pk].append((cap, cap.amount(message)))
        return True

    @property
    def _counters(self) -> CounterQuerySet:
        return Counter.objects.using(self.using)


def has_limits(backend: BaseSMSBackend) -> bool:
    return any(getattr(backend, option) is not None for option in (*GUARDS, DAILY))


def check_guards(backend: BaseSMSBackend, sms: SMS, user: Any, *, using: str) -> None:
    """Raise SMSLimited if a quota per user, number or country is used up for this message.

    This check reserves no quota. A dry run, or a message with a future `send_at`, always passes.
    """
    if sms.dry_run or not has_limits(backend):
        return
    now = database_now(using)
    if sms.send_at and sms.send_at > now:  # a later window will count it
        return
    for option in GUARDS:
        cap = _cap(backend, option, sms.recipient, getattr(user, "pk", None), now)
        if cap and Counter.objects.using(using).used(cap.scope, cap.begins) >= cap.most:
            raise cap.as_error(now)


def cost_nothing(error: SMSError | None) -> bool:
    """Return True if a message with this error was certainly not sent, and caused no fine."""
    return error is not None and not isinstance(error, SMSOutcomeUnknown | ContentRefused)


def _by_cap(
    backend: BaseSMSBackend, option: str, messages: Sequence[Message], now: datetime
) -> dict[Cap, list[Message]]:
    groups: dict[Cap, list[Message]] = defaultdict(list)
    for message in messages:
        if cap := _cap(backend, option, message.recipient, message.created_by_id, now):
            groups[cap].append(message)
    return groups


def _cap(
    backend: BaseSMSBackend, option: str, recipient: str, user: Any, now: datetime
) -> Cap | None:
    limit = getattr(backend, option)
    if limit is None or (option == "max_per_user" and user is None):
        return None
    if option == DAILY:
        begins, ends = day_bounds(day_of(now))
        return Cap(backend.alias, option, _scope(backend, option, ""), begins, ends, limit)
    most, seconds = limit
    name = _name(option, recipient, user)
    begins, ends = window_of(now, seconds)
    return Cap(backend.alias, option, _scope(backend, option, name), begins, ends, most)


def _name(option: str, recipient: str, user: Any) -> str:
    """Return the last part of `Counter.scope`: a country, or a digest of a number or user."""
    if option == "max_per_country":
        return country_of(recipient) or "none"
    return digest_of(recipient if option == "max_per_number" else str(user))


def digest_of(name: str) -> str:
    """Return a digest to store in `Counter.scope` instead of a telephone number or a user id."""
    return salted_hmac("django_smsww.counter", name, algorithm="sha256").hexdigest()[:20]


def _scope(backend: BaseSMSBackend, option: str, name: str) -> str:
    kind = option.rpartition("_")[2]
    return f"{kind}:{backend.alias}:{backend.environment}:{name}"
