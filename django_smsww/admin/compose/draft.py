"""A message that is being written: to whom it goes, line by line, and what it comes to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from django.db import router
from django.utils import timezone
from django.utils.translation import gettext

from ...backends.base import BaseSMSBackend
from ...backends.validation import check_country, check_recipient, country_of
from ...exceptions import InvalidSMS
from ...models import Heartbeat, Message, Suppression, fingerprint
from ...segments import count_segments
from ...sms import SMS
from ...states import UNFINISHED, State
from ..search import SEPARATORS

MOST_NUMBERS = 10_000
MOST_AT_ONCE = 20
"""More are left to the queue: somebody waits for the page."""

MOST_PROBLEMS = 100
SWEPT_LATELY = timedelta(minutes=10)
# What spreadsheets put between columns, and around or before what is in them.
DELIMITERS, QUOTES = (";", ",", "\t"), "\"' "


@dataclass
class Draft:
    """What is to be sent through a backend.

    Attributes:
        numbers: those that can be written to, each once.
        problems: the numbers of the lines that cannot, and why.
        repeated: how many lines have a number that stands in another one too.
    """

    backend: BaseSMSBackend
    sms: SMS
    numbers: list[str] = field(default_factory=list)
    problems: list[tuple[int, str]] = field(default_factory=list)
    repeated: int = 0

    @classmethod
    def of(cls, backend: BaseSMSBackend, sms: SMS, lines: str) -> Draft:
        """Check the text, and each line for itself.

        Raises:
            InvalidSMS: it could be sent to nobody as it is.
        """
        prepared = backend.prepare(sms)
        backend.validate_content(prepared)
        draft = cls(backend, prepared)
        found = list(draft._read(lines))
        unwanted = _unwanted([number for _line, number in found])
        for line, number in found:
            if number in unwanted:
                draft.problems.append((line, gettext("It is on the do-not-send list.")))
        draft.numbers = list(dict.fromkeys(n for _line, n in found if n not in unwanted))
        draft.repeated = len(found) - len({number for _line, number in found})
        draft.problems.sort()
        return draft

    def _read(self, lines: str) -> Iterator[tuple[int, str]]:
        """Yield the number of each line that has one, and note what is wrong with the others."""
        for line, typed in enumerate(lines.splitlines(), 1):
            number = as_typed(typed)
            if not number:
                continue
            try:
                check_recipient(number)
                if self.backend.allowed_countries is not None:
                    check_country(number, self.backend.allowed_countries)
            except InvalidSMS as error:
                if line > 1 or any(character.isdigit() for character in number):
                    self.problems.append((line, error.explain()))
                continue  # the first line of a file may be the names of its columns
            yield line, number

    @property
    def segments(self) -> int:
        """How many segments all of it comes to."""
        return count_segments(self.sms.body).segments * len(self.numbers)

    @property
    def is_queued(self) -> bool:
        """Whether it is left to the queue, and needs somebody who delivers that."""
        return self._is_later() or len(self.numbers) > MOST_AT_ONCE or self.backend.queue is True

    @property
    def is_delivered(self) -> bool:
        """Whether anybody would send what is queued."""
        if isinstance(self.backend.queue, str) and not self._is_later():
            return True
        sweeps = Heartbeat.objects.filter(
            environment=self.backend.environment,
            name=f"sweep:{self.backend.alias}",
            beat_at__gte=timezone.now() - SWEPT_LATELY,
        )
        return sweeps.exists()

    def earlier(self) -> dict[str, int]:
        """Return to how many of the numbers this very text was delivered, or may yet be."""
        known = Message.objects.filter(fingerprint=fingerprint(self.sms.body), dry_run=False)
        states = {State.DELIVERED: "delivered"} | dict.fromkeys(UNFINISHED, "open")
        found: dict[str, set[str]] = {"delivered": set(), "open": set()}
        for block in _blocks(self.numbers):
            rows = known.filter(recipient__in=block, state__in=states)
            for number, state in rows.values_list("recipient", "state"):
                found[states[State(state)]].add(number)
        return {name: len(numbers) for name, numbers in found.items()}

    def _is_later(self) -> bool:
        return self.sms.send_at is not None and self.sms.send_at > timezone.now()

    def countries(self) -> Counter[str]:
        """Return how many numbers belong to each country, as far as that can be told."""
        try:
            return Counter(country_of(number) or "" for number in self.numbers)
        except ImportError:  # phonenumbers is an extra
            return Counter({"": len(self.numbers)})


def as_typed(line: str) -> str:
    """Return the number at the beginning of a line, as far as separators and 00 go."""
    for delimiter in DELIMITERS:
        line = line.partition(delimiter)[0]
    number = SEPARATORS.sub("", line.strip().strip(QUOTES))
    return "+" + number[2:] if number.startswith("00") else number


def count_lines(lines: str) -> int:
    """Return how many lines hold something."""
    return sum(1 for line in lines.splitlines() if line.strip())


def _unwanted(numbers: list[str]) -> set[str]:
    using = router.db_for_write(Message)
    known = Suppression.objects.using(using)
    return {number for block in _blocks(numbers) for number in known.among(block)}


def _blocks(numbers: list[str]) -> Iterator[list[str]]:
    """Yield as many numbers at a time as every database takes in one statement."""
    yield from (numbers[n : n + 500] for n in range(0, len(numbers), 500))
