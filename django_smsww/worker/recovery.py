"""The probe: after a pause, one message tests whether its alias can send again.

# Note [One probe]
When a pause is over, each process runs a conditional UPDATE of the Suspension. The UPDATE succeeds
in only one process, which then sends one message. The other processes wait for one minute, or
until this message shows that the gateway works. So during an outage, all processes together make
one request a minute. If the process with the probe dies, the others wait until the minute ends.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

from ..clock import database_now
from ..exceptions import AccessRefused, SMSUnavailable, kinds_of
from ..models import Message, MessageQuerySet, Suspension
from ..models.suspension import SuspensionQuerySet
from .threads import REFUSED_BEFORE, MessageResult


class Probe:
    """The message with which one worker tests whether a paused alias can send again."""

    def __init__(self, alias: str, environment: str, using: str) -> None:
        self._alias, self._environment, self._using = alias, environment, using
        self.row: int | None = None  # the primary key, unless this worker does not probe
        self.has_left = False  # its request has begun: nothing else is sent before its result

    @property
    def _pause(self) -> SuspensionQuerySet:
        known = Suspension.objects.using(self._using).of(self._alias, self._environment)
        return known.filter(scope="alias")

    def begin(self, message: Message) -> bool:
        """Try to make this message the probe, which tests whether a paused alias can send again.

        Return False if another process already tests this alias.
        """
        is_won = self._pause.win_probe(database_now(self._using))
        self.row = message.pk if is_won else None
        return is_won

    def note_claim(self, block: Collection[int], messages: Sequence[Message]) -> None:
        """Note whether the probe became SENDING; if not, let another process test the alias."""
        if self.row in block:
            self.has_left = any(message.pk == self.row for message in messages)
            self.give_back()

    def note_results(self, results: Sequence[MessageResult]) -> None:
        for each in results:
            if each.message.pk == self.row:
                self.has_left = False
                self.row = self.row if each.was_not_started else None

    def give_back(self) -> None:
        """Let another process test the alias, unless the request of our probe has begun."""
        if self.row is not None and not self.has_left:
            self.row = None
            self._pause.give_probe_back(database_now(self._using))


def resume(alias: str, environment: str, *, scope: str = "alias", using: str) -> bool:
    """Lift the suspension with this `Suspension.scope`; return False if there is none.

    The alias's queued rows that could not be sent during the suspension become due at once.
    """
    is_lifted = Suspension.objects.using(using).resume(alias, environment, scope=scope)
    if is_lifted:
        send_soon(Message.objects.using(using).of(alias, environment), database_now(using))
    return is_lifted


def send_soon(rows: MessageQuerySet, now: datetime) -> None:
    """Make queued rows due now if their last error is an SMSUnavailable other than HTTP 429."""
    _unsent(rows).filter(next_attempt_at__gt=now).update(next_attempt_at=now)


def mark_refused(rows: MessageQuerySet) -> None:
    """At the end of a pause, mark the queued rows that the gateway has refused.

    If the gateway refuses a marked message again, the cause is the message, not the account.
    """
    # Rows that only waited have no status.
    refused = _unsent(rows).filter(error=AccessRefused.__name__, error_status__isnull=False)
    refused.update(error_code=REFUSED_BEFORE)


def _unsent(rows: MessageQuerySet) -> MessageQuerySet:
    """Return the queued rows whose last error is an SMSUnavailable other than HTTP 429."""
    return rows.queued().filter(error__in=kinds_of(SMSUnavailable)).exclude(error_status=429)
