"""Limits on how many one-time codes leave, on by default wherever a form can ask for them.

Fraudsters make such forms send to numbers that they earn from. These limits come on top of those
of the alias, and count when a code is asked for, across all hosts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import router
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext, ngettext

from django_smsww.clock import database_now
from django_smsww.exceptions import SMSError, SMSLimited, SMSOutcomeUnknown
from django_smsww.models import Counter, Message
from django_smsww.states import State
from django_smsww.worker.limits import cost_nothing

Limit = tuple[int, int]
"""At most so many codes in each window of so many seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guards:
    """How many codes may leave; None lifts a limit.

    Attributes:
        cooldown: seconds between two codes to the same number.
        max_per_number, max_per_user: (count, seconds).
    """

    cooldown: int = 60
    max_per_number: Limit | None = (5, 3600)
    max_per_user: Limit | None = (10, 3600)

    @contextmanager
    def hold(self, recipient: str, user: Any, *, environment: str, tag: str) -> Iterator[None]:
        """Count one code to this number, and give it back if it certainly was not sent.

        Raises:
            SMSLimited: there is no room for it; `retry_after` says for how many seconds.
        """
        using = router.db_for_write(Counter)
        now = database_now(using)
        self._wait_for_the_last(recipient, tag)
        places = list(self._places(recipient, user, environment, now))
        taken: list[_Place] = []
        try:
            for place in places:
                place.take(using, now)
                taken.append(place)
            yield
        except SMSError as error:
            for place in taken if cost_nothing(error) else ():
                place.give_back(using)
            raise

    def _wait_for_the_last(self, recipient: str, tag: str) -> None:
        """Raise SMSLimited while the last code to this number is younger than the cool-down."""
        rows = Message.objects.using(router.db_for_write(Message))
        since = timezone.now() - timedelta(seconds=self.cooldown)
        sent = rows.filter(recipient=recipient, tag=tag, created_at__gt=since).exclude(
            state__in=[State.FAILED, State.CANCELLED]
        )
        last = sent.order_by("-pk").values_list("created_at", flat=True).first()
        if last is not None:
            raise _limited("cooldown", (last - since).total_seconds())

    def _places(
        self, recipient: str, user: Any, environment: str, now: datetime
    ) -> Iterator[_Place]:
        # The cool-down once more, for two requests at the same moment: rows cannot exclude that.
        limits = {
            "cooldown": (recipient, (1, self.cooldown) if self.cooldown else None),
            "max_per_number": (recipient, self.max_per_number),
            "max_per_user": (getattr(user, "pk", None), self.max_per_user),
        }
        for option, (name, limit) in limits.items():
            if limit is not None and name is not None:
                yield _Place.of(option, name, limit, environment, now)


@dataclass(frozen=True, slots=True)
class _Place:
    """One limit, in the window of time that it is now."""

    option: str
    scope: str
    begins: datetime
    limit: Limit

    @classmethod
    def of(cls, option: str, name: object, limit: Limit, environment: str, now: datetime) -> _Place:
        # A counter shows no numbers.
        digest = salted_hmac("django_smsww.guards", f"{option}:{name}", algorithm="sha256")
        epoch = datetime(2000, 1, 1, tzinfo=now.tzinfo)
        elapsed = int((now - epoch).total_seconds())
        begins = epoch + timedelta(seconds=elapsed - elapsed % limit[1])
        scope = f"code:{option}:{environment}:{digest.hexdigest()[:20]}"
        return cls(option, scope, begins, limit)

    def take(self, using: str, now: datetime) -> None:
        most, seconds = self.limit
        if not Counter.objects.using(using).take(self.scope, self.begins, 1, most):
            ends = self.begins + timedelta(seconds=seconds)
            raise _limited(self.option, (ends - now).total_seconds())

    def give_back(self, using: str) -> None:
        Counter.objects.using(using).give_back(self.scope, self.begins, 1)


def reason(error: SMSError) -> str:
    """Return what a user should know of this error."""
    if isinstance(error, SMSLimited) and error.retry_after:
        seconds = int(error.retry_after)
        return ngettext(
            "No other code was sent. You can ask for one in %(seconds)d second.",
            "No other code was sent. You can ask for one in %(seconds)d seconds.",
            seconds,
        ) % {"seconds": seconds}
    if isinstance(error, SMSOutcomeUnknown):
        return gettext("The code may not arrive. If it does not, ask for another one.")
    return gettext("The code could not be sent. Try again later.")


def _limited(option: str, seconds: float) -> SMSLimited:
    left = max(1, math.ceil(seconds))
    return SMSLimited(
        f"The limit {option} is used up for {left} seconds; no code was sent",
        code=option,
        retry_after=left,
    )
