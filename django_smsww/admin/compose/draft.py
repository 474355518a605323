"""A message before it is sent: its checked text and recipients."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from operator import itemgetter
from typing import Any

from django.db import router
from django.utils import timezone
from django.utils.text import Truncator
from django.utils.translation import gettext

from ...backends.base import BaseSMSBackend
from ...exceptions import InvalidSMS
from ...models import Heartbeat, Message, Suppression, Suspension, fingerprint
from ...numbers import is_known, read_number
from ...segments import count_segments
from ...sending.dispatch import MOST_AT_ONCE
from ...sending.files import Cell
from ...sending.resending import Estimate, estimate_messages
from ...sms import SMS
from ...states import UNFINISHED, State
from ..suspension import suspension_of

MOST_NUMBERS = 10_000
MOST_PROBLEMS = 100
SWEPT_LATELY = timedelta(minutes=10)
TRIED_LATELY = timedelta(hours=1)


@dataclass
class Draft:
    """A checked text with its recipients.

    Attributes:
        numbers: the accepted recipients, without duplicates.
        problems: for each refused recipient, the line number and a sentence with the reason.
        repeated: how many duplicates were left out.
    """

    backend: BaseSMSBackend
    sms: SMS
    numbers: list[str] = field(default_factory=list)
    problems: list[tuple[int, str]] = field(default_factory=list)
    repeated: int = 0

    @classmethod
    def of(cls, backend: BaseSMSBackend, sms: SMS, cells: Iterable[Cell]) -> Draft:
        """Check the text, and the number in each cell. Return the draft.

        Raises:
            InvalidSMS: the text or the sender is not valid.
        """
        prepared = backend.prepare(sms)
        backend.validate_content(prepared)
        draft = cls(backend, prepared)
        found = list(draft._read(cells))
        unwanted = _unwanted([number for _cell, number in found])
        for cell, number in found:
            if number in unwanted:
                draft._complain(cell, gettext("It is on the do-not-send list."))
        draft.numbers = list(dict.fromkeys(n for _cell, n in found if n not in unwanted))
        draft.repeated = len(found) - len({number for _cell, number in found})
        draft.problems.sort(key=itemgetter(0))
        return draft

    def _read(self, cells: Iterable[Cell]) -> Iterator[tuple[Cell, str]]:
        """Yield (cell, number) for each cell with a valid number. Add other cells to `problems`."""
        for cell in cells:
            try:
                number = read_number(cell.value, self.backend.region)
                self.backend.validate_recipient(number)
            except InvalidSMS as error:
                self._complain(cell, error.explain())
            else:
                yield cell, number

    def _complain(self, cell: Cell, text: str) -> None:
        place = gettext("Line %(line)d, column %(column)s, “%(value)s”:") % {
            "line": cell.line,
            "column": cell.column,
            "value": Truncator(cell.value).chars(20),
        }
        self.problems.append((cell.line, f"{place} {text}"))

    @property
    def is_queued(self) -> bool:
        """Whether the messages will wait in a queue, until a worker or a task queue sends them."""
        return self._is_later() or len(self.numbers) > MOST_AT_ONCE or bool(self.backend.queue)

    def held_by(self, *, waits: bool) -> Suspension | None:
        """Return the suspension that would make the messages fail now, or None.

        If `waits` is True, the messages go into the queue. Then only a suspension of their text can
        make them fail.
        """
        text, using = fingerprint(self.sms.body), router.db_for_write(Message)
        return suspension_of(self.backend, text, using=using, waits=waits)

    @property
    def has_worker(self) -> bool:
        """Whether queued messages will be sent: a worker is running, or a task queue sends them."""
        if isinstance(self.backend.queue, str) and not self._is_later():
            return True
        sweeps = Heartbeat.objects.filter(
            environment=self.backend.environment,
            name=f"sweep:{self.backend.alias}",
            beat_at__gte=timezone.now() - SWEPT_LATELY,
        )
        return sweeps.exists()

    def earlier(self) -> dict[str, int]:
        """Count the draft's recipients that have an earlier message with the same text.

        Return two counts. "delivered" counts the numbers that received the text. "open" counts the
        numbers with an unfinished message, which may still arrive.
        """
        known = Message.objects.filter(fingerprint=fingerprint(self.sms.body), dry_run=False)
        states = {State.DELIVERED: "delivered"} | dict.fromkeys(UNFINISHED, "open")
        found: dict[str, set[str]] = {"delivered": set(), "open": set()}
        for block in _blocks(self.numbers):
            rows = known.filter(recipient__in=block, state__in=states)
            for number, state in rows.values_list("recipient", "state"):
                found[states[State(state)]].add(number)
        return {name: len(numbers) for name, numbers in found.items()}

    def price_tried(self, user: Any) -> Decimal | None:
        """Return the price of the latest dry run that the user made with this text, or None.

        Dry runs that are older than an hour do not count.
        """
        tries = Message.objects.filter(
            created_by=user,
            dry_run=True,
            alias=self.backend.alias,
            fingerprint=fingerprint(self.sms.body),
            created_at__gte=timezone.now() - TRIED_LATELY,
        )
        return tries.order_by("-pk").values_list("total_price", flat=True).first()

    def _is_later(self) -> bool:
        return self.sms.send_at is not None and self.sms.send_at > timezone.now()

    def strange(self) -> int:
        """Count the numbers that are valid in no country; 0 if `phonenumbers` is not installed."""
        return sum(not is_known(number) for number in self.numbers)

    def estimate(self) -> Estimate:
        """Estimate segments, countries and costs, with the last known prices."""
        segments = count_segments(self.sms.body).segments
        messages = ((self._route(number), "", number, segments) for number in self.numbers)
        return estimate_messages(messages, using=router.db_for_read(Message))

    def _route(self, number: str) -> str:
        recipient = self.backend.redirected(number) or number
        return self.backend.route_for(self.sms.replace(recipient=recipient))


def _unwanted(numbers: list[str]) -> set[str]:
    known = Suppression.objects.using(router.db_for_write(Message))
    return {number for block in _blocks(numbers) for number in known.among(block)}


def _blocks(numbers: list[str]) -> Iterator[list[str]]:
    """Yield the numbers in blocks that are small enough for one SQL statement in every database."""
    yield from (numbers[n : n + 500] for n in range(0, len(numbers), 500))
