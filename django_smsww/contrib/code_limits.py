"""One-time codes by SMS, with limits that are on by default.

Fraudsters use public forms to send codes to expensive numbers, and earn a part of the price. These
limits apply in addition to the limits of the alias. All hosts of a project share the limits.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import router
from django.utils import timezone
from django.utils.translation import gettext, ngettext

from django_smsww.backends.base import BaseSMSBackend
from django_smsww.backends.handler import sms_backends
from django_smsww.clock import database_now, window_of
from django_smsww.exceptions import InvalidSMS, SMSError, SMSLimited, SMSOutcomeUnknown
from django_smsww.models import Counter, Message
from django_smsww.sending.api import send_sms
from django_smsww.states import State
from django_smsww.worker.limits import Cap, cost_nothing, digest_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Guards:
    """Limits for one-time codes.

    Attributes:
        cooldown: seconds between two codes to the same number. 0 means no limit.
        max_per_number, max_per_user: `(count, seconds)`. A number or a user gets at most `count`
            codes in each period, and `seconds` is the length of a period. None means no limit.
    """

    cooldown: int = 60
    max_per_number: tuple[int, int] | None = (5, 3600)
    max_per_user: tuple[int, int] | None = (10, 3600)

    @contextmanager
    def count(
        self, recipient: str, user: Any, *, backend: BaseSMSBackend, tag: str
    ) -> Iterator[None]:
        """Count a code for the number and the user. The caller sends the code in the `with` block.

        The code is not counted if an SMSError shows that nothing was sent and nothing must be paid.

        Raises:
            SMSLimited: a limit is reached. `retry_after` is the user's waiting time in seconds.
        """
        recipient = backend.read_recipient(recipient)  # other spellings share its limits
        using = router.db_for_write(Counter)
        counters, now = Counter.objects.using(using), database_now(using)
        self._wait_for_the_last(recipient, tag)
        taken: list[Cap] = []
        try:
            for cap in self._caps(recipient, user, backend, now):
                if not counters.take(cap.scope, cap.begins, 1, cap.most):
                    raise _limited(cap.option, (cap.ends - now).total_seconds())
                taken.append(cap)
            yield
        except SMSError as error:
            for cap in taken if cost_nothing(error) else ():
                counters.give_back(cap.scope, cap.begins, 1)
            raise

    def _wait_for_the_last(self, recipient: str, tag: str) -> None:
        """Raise SMSLimited if a code was sent to this number less than `cooldown` seconds ago."""
        rows = Message.objects.using(router.db_for_write(Message))
        since = timezone.now() - timedelta(seconds=self.cooldown)
        codes = rows.sent_here().filter(recipient=recipient, tag=tag, created_at__gt=since)
        sent = codes.exclude(state__in=[State.FAILED, State.CANCELLED])
        last = sent.order_by("-pk").values_list("created_at", flat=True).first()
        if last is not None:
            raise _limited("cooldown", (last - since).total_seconds())

    def _caps(
        self, recipient: str, user: Any, backend: BaseSMSBackend, now: datetime
    ) -> Iterator[Cap]:
        # A counter for the cool-down, too: two simultaneous requests see no row of each other.
        limits = {
            "cooldown": (recipient, (1, self.cooldown) if self.cooldown else None),
            "max_per_number": (recipient, self.max_per_number),
            "max_per_user": (getattr(user, "pk", None), self.max_per_user),
        }
        for option, (name, limit) in limits.items():
            if limit is not None and name is not None:
                most, seconds = limit
                scope = f"code:{option}:{backend.environment}:{digest_of(str(name))}"
                yield Cap(backend.alias, option, scope, *window_of(now, seconds), most)


def send_code(
    write: Callable[[], str],
    recipient: str,
    *,
    using: str,
    guards: Guards,
    tag: str,
    expires_at: datetime,
    user: Any = None,
    key: str = "",
) -> Message:
    """Send a code within the limits. The text is deleted after the message was sent or has failed.

    Args:
        write: a function that returns the text. It is called only if no limit is reached, so it
            can also store the code.
        expires_at: the code is not sent after this time.

    Raises:
        SMSError: a limit is reached, or `send_sms` raised this error.
    """
    backend = sms_backends[using]
    recipient = backend.read_recipient(recipient)
    backend.validate_recipient(recipient)
    with guards.count(recipient, user, backend=backend, tag=tag):
        return send_sms(
            write(),
            recipient,
            using=using,
            tag=tag,
            sensitive=True,
            expires_at=expires_at,
            created_by=user,
            key=key,
        )


def reason(error: SMSError) -> str:
    """Return a translated text that explains the error to the user who asked for a code."""
    if isinstance(error, SMSLimited) and error.retry_after:
        seconds = int(error.retry_after)
        return ngettext(
            "No new code was sent. You can ask for one in %(seconds)d second.",
            "No new code was sent. You can ask for one in %(seconds)d seconds.",
            seconds,
        ) % {"seconds": seconds}
    if isinstance(error, InvalidSMS):
        return gettext(
            "No code can be sent to this number. Write it with the plus sign and the country code: "
            "+393331234567."
        )
    if isinstance(error, SMSOutcomeUnknown):
        return gettext("The code may not arrive. If it does not, ask for another one.")
    return gettext("The code could not be sent. Try again later.")


def _limited(option: str, seconds: float) -> SMSLimited:
    left = max(1, math.ceil(seconds))
    text = f"The limit {option} is reached; no code was sent; try again in {left} seconds"
    return SMSLimited(text, code=option, retry_after=left)
