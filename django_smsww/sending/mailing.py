"""A mailing: many messages from a file or a list, checked before any of them is sent.

Each line has a key of its own, made of its contents. So you can run a mailing again that was
stopped half-way, and it reaches each number once.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from uuid import uuid4

from ..backends.base import BaseSMSBackend
from ..clock import database_now
from ..exceptions import InvalidSMS
from ..models import Message
from ..models import lease as leases
from ..numbers import is_known
from ..sms import SMS
from ..states import State
from ..worker.queue import deliver
from .files import COLUMNS, Row, clean_number, place_of

LINES_OF_ONE_QUERY = 250

Rows = Callable[[], Iterator[Row]]


@dataclass
class Checked:
    """The result of checking a mailing.

    Attributes:
        lines: how many lines can be sent.
        problems: what is wrong with the other lines, and where; by the number of the line.
        repeated: how many lines repeat another one; they are sent once.
        known: how many lines were sent before, with the same keys.
        strange: how many lines have a number that no numbering plan has.
    """

    lines: int = 0
    problems: dict[int, str] = field(default_factory=dict)
    repeated: int = 0
    known: int = 0
    strange: int = 0
    _by_key: dict[str, tuple[int, str]] = field(default_factory=dict)
    _texts: set[tuple[str, str]] = field(default_factory=set)

    @property
    def has_one_text(self) -> bool:
        """Whether all lines have the same text and sender."""
        return len(self._texts) == 1

    def add(self, number: int, sms: SMS, sent: Mapping[str, str | None]) -> None:
        """Count a valid line. Raise InvalidSMS if its key stands for another number.

        Args:
            sent: the numbers of the rows that have these keys; None for a number that was deleted.
        """
        ours = (number, sms.recipient)
        first, recipient = self._by_key.setdefault(sms.key, ours) if sms.key else ours
        if recipient != sms.recipient:
            text = f"key stands in line {first}, for another number: give each its own."
            raise InvalidSMS(text)
        if sent.get(sms.key) not in (None, sms.recipient):
            raise InvalidSMS("key was used for another number before: give each its own.")
        self.lines += 1
        self.known += sms.key in sent
        self.strange += not is_known(sms.recipient)
        self.repeated += first != number
        if len(self._texts) < 2:  # more need not be told apart
            self._texts.add((sms.sender, sms.body))


@dataclass
class Mailing:
    """The messages of some rows.

    Attributes:
        rows: returns the rows anew at each call: a line number and the fields of `files.COLUMNS`.
        template: the values for empty fields.
        prefix: the beginning of keys that we make from a row's contents; "" makes none.
        own_prefix: the beginning of the keys that rows have of their own.
    """

    backend: BaseSMSBackend
    rows: Rows
    template: SMS
    prefix: str = ""
    own_prefix: str = ""

    def messages(self, but: Container[int] = ()) -> Iterator[SMS]:
        """Yield the messages of all lines but these."""
        return (self._sms(fields) for number, fields in self.rows() if number not in but)

    def check(self, using: str) -> Checked:
        """Read all lines once and check them; nothing is stored."""
        checked, rows = Checked(), self.rows()
        while block := [(*row, self._sms(row[1])) for row in islice(rows, LINES_OF_ONE_QUERY)]:
            sent = self._sent([sms.key for _, _, sms in block], using)
            for number, fields, sms in block:
                try:
                    self.backend.validate(self.backend.prepare(sms))
                    checked.add(number, sms, sent)
                except InvalidSMS as error:
                    checked.problems[number] = _problem(number, fields, str(error.args[0]))
        return checked

    def _sms(self, fields: Mapping[str, str]) -> SMS:
        sms = self.template.replace(
            recipient=self.backend.read_recipient(clean_number(fields.get("recipient", ""))),
            body=fields.get("body") or self.template.body,
            sender=fields.get("sender", "").strip() or self.template.sender,
            tag=fields.get("tag", "").strip() or self.template.tag,
            reference=uuid4(),
        )
        return sms.replace(key=self._key(sms, fields.get("key", "").strip()))

    def _key(self, sms: SMS, own: str) -> str:
        """Return the key of a line; "" for a dry run, so that each dry run asks the gateway."""
        if sms.dry_run or not (own or self.prefix):
            return ""
        if own:
            return f"{self.own_prefix}:{own}" if self.own_prefix else own
        said = json.dumps([sms.recipient, sms.sender, sms.body])
        digest = hashlib.sha256(said.encode(errors="replace")).hexdigest()
        return f"{self.prefix}:{digest[:32]}"

    def _sent(self, keys: Sequence[str], using: str) -> dict[str, str | None]:
        rows = Message.objects.using(using).filter(
            alias=self.backend.alias,
            key__in=[key for key in keys if key and "\x00" not in key],
            dry_run=False,
        )
        found = rows.values_list("key", "recipient", "scrubbed")
        return {key: None if scrubbed else number for key, number, scrubbed in found if key}


def _problem(line: int, fields: Mapping[str, str], text: str) -> str:
    """Return the text with its place; the texts of InvalidSMS begin with the name of a field."""
    column = text.partition(" ")[0]
    if column not in COLUMNS:
        return f"Line {line}: {text}"
    return f"{place_of(line, column, fields.get(column, ''))}: {text}"


def rows_of(recipients: Iterable[str]) -> Rows:
    """Return the rows of a list of numbers, each number once."""
    numbers = list(dict.fromkeys(recipients))
    return lambda: ((n, {"recipient": number}) for n, number in enumerate(numbers, 1))


def send_abandoned(
    backend: BaseSMSBackend, primary_keys: Sequence[int], *, using: str, pause: float = 1.0
) -> Iterator[int]:
    """Send rows under the lease of another process, once it has expired.

    Yields the number of rows left, about once in `pause` seconds. Messages that a dead process was
    sending become UNKNOWN.
    """
    ends = time.monotonic() + 2 * leases.SECONDS
    rows = Message.objects.using(using).filter(pk__in=primary_keys, environment=backend.environment)
    while time.monotonic() < ends:
        rows.abandon()
        now = database_now(using)
        free = list(rows.free(now).values_list("pk", flat=True))
        if free:
            deliver(backend, free, using=using, inline=True)
        leased = rows.filter(state__in=(State.QUEUED, State.SENDING), lease_until__gt=now)
        if not (left := leased.count()):
            return
        yield left
        time.sleep(pause)
