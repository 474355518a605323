"""The probe: after a pause of an alias, one message finds out whether the others can leave.

# Note [One probe]
Each process that finds a pause over tries to win the probe by one conditional UPDATE of the
Suspension. The winner sends one message; for the others the pause lasts another minute, or until
the winner lifts it. So an outage costs one request a minute, over all processes. A winner that dies
keeps the others waiting for that minute only.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from ..clock import database_now
from ..exceptions import AccessRefused, SMSUnavailable, kinds_of
from ..models import Message, MessageQuerySet, Suspension
from ..models.suspension import SuspensionQuerySet
from .threads import REFUSED_BEFORE, MessageResult


class Probe:
    """The message by which one worker finds out whether its alias can send again.

    Attributes:
        row: its primary key; None while this worker probes nothing.
        has_left: its request is under way, and until its result is written nothing else leaves.
    """

    def __init__(self, alias: str, environment: str, using: str) -> None:
        self._alias, self._environment, self._using = alias, environment, using
        self.row: int | None = None
        self.has_left = False

    @property
    def _pause(self) -> SuspensionQuerySet:
        known = Suspension.objects.using(self._using).of(self._alias, self._environment)
        return known.filter(scope="alias")

    def begin(self, message: Message) -> bool:
        """Choose this message and return True, unless another process is probing."""
        is_won = self._pause.win_probe(database_now(self._using))
        self.row = message.pk if is_won else None
        return is_won

    def note_claim(self, block: Collection[int], messages: Sequence[Message]) -> None:
        """Note whether the chosen row left with this block, or can never leave."""
        if self.row in block:
            self.has_left = any(message.pk == self.row for message in messages)
            self.give_back()

    def note_results(self, results: Sequence[MessageResult]) -> None:
        for each in results:
            if each.message.pk == self.row:
                self.has_left = False
                self.row = self.row if each.was_not_started else None

    def give_back(self) -> None:
        """Let another message or process probe, if the chosen row did not leave."""
        if self.row is not None and not self.has_left:
            self.row = None
            self._pause.give_probe_back(database_now(self._using))


def resume(alias: str, environment: str, *, scope: str = "alias", using: str) -> bool:
    """Lift a suspension, and let its rows leave; return if there was one."""
    is_lifted = Suspension.objects.using(using).resume(alias, environment, scope=scope)
    if is_lifted:
        send_soon(Message.objects.using(using).of(alias, environment), database_now(using))
    return is_lifted


def send_soon(rows: MessageQuerySet, now: datetime) -> None:
    """Make rows due now if they failed before or during a pause that has just been lifted."""
    _unsent(rows).filter(next_attempt_at__gt=now).update(next_attempt_at=now)


def mark_refused(rows: MessageQuerySet) -> None:
    """Mark the rows that were refused before another message ended the pause.

    If the gateway refuses one of them again, the message is at fault, and not the account.
    """
    # Rows that only waited have no status.
    refused = _unsent(rows).filter(error=AccessRefused.__name__, error_status__isnull=False)
    refused.update(error_code=REFUSED_BEFORE)


def _unsent(rows: MessageQuerySet) -> MessageQuerySet:
    """Return the queued rows whose sending failed, without those that a 429 delays."""
    return rows.queued().filter(error__in=kinds_of(SMSUnavailable)).exclude(error_status=429)
