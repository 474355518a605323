"""A mailing: messages from a file or a list. All messages are checked before the first is sent.

If a line of a file contains no idempotency key, this module makes a key from the contents of the
line, and from `--key` or the file name. So if you run a stopped mailing again, each number still
gets its message only once. Numbers on the command line have no file name: they get keys only with
`--key`.
"""

import hashlib
import json
import time
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
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
    """The result of checking a mailing: its errors, and how many lines are new or repeated."""

    lines: int = 0  # without an error
    problems: dict[int, str] = field(default_factory=dict)  # the errors by line number
    repeated: int = 0  # repeat an earlier line: the message is sent once
    known: int = 0  # were sent before, with the same keys
    new: int = 0  # will each get a new row
    strange: int = 0  # have a number that is in no numbering plan
    _by_key: dict[str, tuple[int, str]] = field(default_factory=dict)
    _texts: set[tuple[str, str]] = field(default_factory=set)

    @property
    def has_one_text(self) -> bool:
        return len(self._texts) == 1

    def add(self, number: int, sms: SMS, sent: Mapping[str, str | None]) -> None:
        """Count a valid line. Raise InvalidSMS if its key was used for another telephone number.

        `number` is the line number. `sent` maps the key of a message in the database to the
        telephone number of this message, or to None if the number was deleted.
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
        self.new += first == number and sms.key not in sent
        self.strange += not is_known(sms.recipient)
        self.repeated += first != number
        if len(self._texts) < 2:  # enough for `has_one_text`
            self._texts.add((sms.sender, sms.body))


@dataclass
class Mailing:
    """The messages of a file or a list."""

    backend: BaseSMSBackend
    rows: Rows  # yields each line's number and its fields of `files.COLUMNS`
    template: SMS  # the values for empty fields
    prefix: str = ""  # of keys that are made from a line's contents; "" makes no keys
    own_prefix: str = ""  # of keys that are written in the lines
    unit: str = "Line"  # what error texts count

    def messages(self, but: Container[int] = ()) -> Iterator[SMS]:
        """Yield the messages of the lines. Skip the line numbers in `but`."""
        return (self._sms(fields) for number, fields in self.rows() if number not in but)

    def check(self, using: str) -> Checked:
        """Read and check all lines. Nothing is stored or sent."""
        checked, rows = Checked(), self.rows()
        while block := [(*row, self._sms(row[1])) for row in islice(rows, LINES_OF_ONE_QUERY)]:
            sent = self._sent([sms.key for _, _, sms in block], using)
            for number, fields, sms in block:
                try:
                    self.backend.validate(self.backend.prepare(sms))
                    checked.add(number, sms, sent)
                except InvalidSMS as error:
                    checked.problems[number] = self._problem(number, fields, str(error.args[0]))
        return checked

    def _problem(self, number: int, fields: Mapping[str, str], text: str) -> str:
        """Return an error text with the line number, or the position in a list of numbers.

        If the first word of `text` names a column of a file, also show this column's masked value.
        """
        column = text.partition(" ")[0]
        if column not in COLUMNS or self.unit != "Line":
            return f"{self.unit} {number}: {text}"
        return f"{place_of(number, column, fields.get(column, ''))}: {text}"

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
        """Return the idempotency key of a line.

        A dry run gets the key "", because it must always make a request. If the line has a key
        (`own`), return `own_prefix` and this key. If the line has no key and `prefix` is "",
        return "". Otherwise, return `prefix` and a hash of number, sender and text.
        """
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


def rows_of(numbers: Sequence[str]) -> Rows:
    """Return a function that returns an iterator with one row for each telephone number."""
    return lambda: ((n, {"recipient": number}) for n, number in enumerate(numbers, 1))


def send_abandoned(
    backend: BaseSMSBackend, primary_keys: Sequence[int], *, using: str, pause: float = 1.0
) -> Iterator[int]:
    """Send rows that another process has leased, as soon as the lease has expired.

    Messages that the other process was sending become UNKNOWN. About every `pause` seconds, yield
    the number of rows that are still leased. Stop when no row is leased, or when twice the duration
    of a lease has passed.
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
