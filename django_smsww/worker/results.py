"""Write down what came of messages: many at once, and nothing is lost that one of them spoils.

An answer that the database does not take at once is kept and tried again, for as long as the lease
lasts under which its message left; where somebody waits, for a few seconds. After that the row is
still SENDING, and becomes UNKNOWN as if its worker had died.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.db import (
    DatabaseError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    connections,
    transaction,
)
from django.utils import timezone

from ..backends.base import stopped_by
from ..clock import elapsed
from ..exceptions import SMSError, SMSOutcomeUnknown
from ..models import Message, MessageQuerySet
from ..models import lease as leases
from ..models.transitions import OvertakenError, move_together
from .admission import Gate
from .consequences import Consequences
from .threads import Answer

logger = logging.getLogger("django_smsww")

LARGEST_FLUSH = 250
LONGEST_WAIT = 0.5
"""Seconds for which an answer may wait for others to be written with it."""
PATIENCE = 10
"""Seconds for which a call waits for a database that is away; a worker waits for its lease."""
REFUSALS = 3
"""How often a database that can be reached may refuse an answer before that is given up."""
UNUSABLE = (ArithmeticError, TypeError, ValueError, ValidationError)
"""What a field says of a value that it cannot write, such as a price that is no number."""


@dataclass
class Results:
    """The answers of one delivery, from when they come until they are written.

    Attributes:
        errors: where the errors of messages that did not leave are noted, by primary key.
        unwritten: those that wait.
        is_refused: the database has just refused some of them for now.
    """

    rows: MessageQuerySet
    gate: Gate
    inline: bool
    errors: dict[int, SMSError]
    unwritten: list[Answer] = field(default_factory=list)
    is_refused: bool = False
    since: float = 0.0

    def __post_init__(self) -> None:
        self.consequences = Consequences(self.rows, self.inline)

    @property
    def using(self) -> str:
        return self.rows.db

    def add(self, answers: Sequence[Answer]) -> None:
        if answers and not self.unwritten:
            self.since = elapsed()
        self.unwritten += answers

    @property
    def wait(self) -> float:
        """For how many seconds more they may wait for others to be written with them."""
        return max(0.0, self.since + LONGEST_WAIT - elapsed())

    def write(self) -> list[Answer]:
        """Write down what waits; return the answers that need not be thought of any more."""
        answers, self.unwritten = self.unwritten, []
        try:
            for start in range(0, len(answers), LARGEST_FLUSH):
                self._write(answers[start : start + LARGEST_FLUSH])
        except BaseException:  # such as Ctrl-C
            self.unwritten = answers  # those that are written by now are not moved a second time
            raise
        kept = {id(answer) for answer in self.unwritten}
        self.is_refused, self.since = bool(kept), elapsed()
        return [answer for answer in answers if id(answer) not in kept]

    def _write(self, answers: Sequence[Answer]) -> None:
        try:
            self._write_together(answers)
        except (OvertakenError, IntegrityError):
            self._write_overtaken(answers)
        except (DatabaseError, *UNUSABLE) as error:
            self._write_refused(answers, error)

    def _write_together(self, answers: Sequence[Answer]) -> None:
        # What is read is read before: SQLite refuses a transaction that reads first and writes
        # then, if another one has written in between.
        moves = [self.consequences.move_of(answer) for answer in answers]
        with transaction.atomic(using=self.using):
            move_together(moves, answers[0].lease.token, self.using)
            for message, error in _distinct(answers):
                self.gate.suspend(message, error)
        for move in moves:
            if move.error is not None:
                self.errors[move.message.pk] = move.error

    def _write_overtaken(self, answers: Sequence[Answer]) -> None:
        """Write them, but for one whose row is not where we left it, or whose id another has."""
        if len(answers) > 1:
            self._write_halves(answers)
            return
        try:
            said = self._said(answers[0])
            with transaction.atomic(using=self.using):
                self._write_late(answers[0], said)
        except DatabaseError as error:
            self._write_refused(answers, error)

    def _said(self, answer: Answer) -> dict[str, Any]:
        """Return the facts that came along with a refusal, but for an id that another row has."""
        named, message = answer.result, answer.message
        if named.error is None:
            return {}
        free = self.rows.filter(self.rows.free_id(named.provider_id), pk=message.pk)
        result = named if free.exists() else named.nameless()
        return self.consequences.said(answer, result)

    def _write_late(self, answer: Answer, said: dict[str, Any]) -> None:
        message, error = answer.message, answer.result.error
        if error is not None and not answer.never_begun:
            is_ended = message.fail(error, token=answer.lease.token, **said)
            if not is_ended and not message.fail_late(error, **said) and said:
                # It is not ours to end any more; what it has cost is true all the same.
                row = self.rows.filter(pk=message.pk)
                row.update(**said, updated_at=timezone.now())
            self.gate.suspend(message, error)
            self.errors[message.pk] = error
        elif error is None and not message.dry_run:
            # No lease is asked for: that the provider has it is true whoever heard it.
            message.accept(answer.result)

    def _write_refused(self, answers: Sequence[Answer], error: Exception) -> None:
        """Write them, but for one that the database does not take; keep what it may yet take."""
        if connections[self.using].in_atomic_block:
            raise error  # whoever opened the transaction has to roll it back
        is_passing = isinstance(error, OperationalError | InterfaceError)
        if is_passing and self._is_away():
            self._keep(answers, error)
        elif len(answers) > 1:
            self._write_halves(answers)
        elif is_passing and answers[0].refusals < REFUSALS:
            answers[0].refusals += 1
            self._keep(answers, error)
        else:
            self._give_up(answers[0], error)

    def _write_halves(self, answers: Sequence[Answer]) -> None:
        middle = len(answers) // 2
        self._write(answers[:middle])
        self._write(answers[middle:])

    def _is_away(self) -> bool:
        """Whether the database cannot be reached; a connection that broke is opened anew."""
        connection = connections[self.using]
        try:
            connection.close_if_unusable_or_obsolete()
            connection.ensure_connection()
        except DatabaseError:
            return True
        return False

    def _keep(self, answers: Sequence[Answer], error: Exception) -> None:
        for answer in answers:
            if elapsed() < self._ends(answer):
                self.unwritten.append(answer)
            else:
                self._give_up(answer, error)

    def _ends(self, answer: Answer) -> float:
        """Return until when it may be tried to write this down."""
        lease_ends = answer.lease.deadline + leases.SECONDS / 2
        return min(lease_ends, answer.came_at + PATIENCE) if self.inline else lease_ends

    def _give_up(self, answer: Answer, error: Exception) -> None:
        # The row stays SENDING, and becomes UNKNOWN when its lease is over. The error's text
        # quotes what was to be stored, so its class has to do.
        reference, kind = answer.message.reference, type(error).__name__
        logger.error(
            "The result of message %s was not stored (%s): it will be UNKNOWN", reference, kind
        )
        self.errors[answer.message.pk] = SMSOutcomeUnknown(code="not_stored", detail=kind)


def _distinct(answers: Sequence[Answer]) -> list[tuple[Message, SMSError]]:
    """Return one error of each kind that holds others back, with its message."""
    found = {}
    for answer in answers:
        error = answer.result.error
        for text in stopped_by(error, answer.message.body):
            found[type(error), text] = (answer.message, error)
    return [(message, error) for message, error in found.values() if error]
