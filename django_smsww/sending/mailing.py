"""A mailing: many messages from a file or a list, checked before any of them leaves.

Each line has a key of its own, made of what it says. So a mailing that was stopped half-way can be
run again, and reaches each number once.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from uuid import uuid4

from ..backends.base import BaseSMSBackend
from ..clock import database_now
from ..exceptions import InvalidSMS
from ..models import Message
from ..models import lease as leases
from ..sms import SMS
from ..states import State
from ..worker.queue import deliver

BLOCK = 250

Fields = Mapping[str, str]
Rows = Callable[[], Iterator[tuple[int, Fields]]]


@dataclass
class Checked:
    """What a mailing holds.

    Attributes:
        lines: how many can be sent.
        problems: what is wrong with the others, by the number of the line.
        repeated: how many lines say what another one says; they are sent once.
        known: how many were given before, with the same keys.
        texts: how many texts and senders there are; no more than two are told apart.
    """

    lines: int = 0
    problems: dict[int, str] = field(default_factory=dict)
    repeated: int = 0
    known: int = 0
    texts: int = 0


@dataclass
class _Seen:
    numbers: dict[str, tuple[int, str]] = field(default_factory=dict)
    texts: set[tuple[str, str]] = field(default_factory=set)

    def note(self, sms: SMS) -> None:
        if len(self.texts) < 2:
            self.texts.add((sms.sender, sms.body))


@dataclass
class Mailing:
    """The messages of some rows.

    Attributes:
        rows: returns the rows anew at each call: a line number and the fields of `csvfile.COLUMNS`.
        template: what holds where a row is silent.
        prefix: begins the keys that are made of what a row says; "" makes none.
        own_prefix: begins the keys that rows bring along.
    """

    backend: BaseSMSBackend
    rows: Rows
    template: SMS
    prefix: str = ""
    own_prefix: str = ""

    def messages(self, but: Iterable[int] = ()) -> Iterator[SMS]:
        """Yield the messages of all lines but these."""
        left_out = frozenset(but)
        return (sms for number, sms in self._lines() if number not in left_out)

    def check(self, using: str) -> Checked:
        """Read all of it once, and say what is wrong with which line; nothing is stored."""
        checked, seen = Checked(), _Seen()
        lines = self._lines()
        while block := list(islice(lines, BLOCK)):
            known = self._known([sms.key for _, sms in block if sms.key], using)
            for number, sms in block:
                self._check_line(number, sms, checked, seen, known)
        checked.texts = len(seen.texts)
        return checked

    def _lines(self) -> Iterator[tuple[int, SMS]]:
        return ((number, self._sms(fields)) for number, fields in self.rows())

    def _sms(self, fields: Fields) -> SMS:
        sms = self.template.replace(
            recipient=fields.get("recipient", "").strip(),
            body=fields.get("body") or self.template.body,
            sender=fields.get("sender", "").strip() or self.template.sender,
            tag=fields.get("tag", "").strip() or self.template.tag,
            reference=uuid4(),
        )
        return sms.replace(key=self._key(sms, fields.get("key", "").strip()))

    def _key(self, sms: SMS, own: str) -> str:
        """Return the key of a line; a dry run has none, or it would stand for the real one."""
        if own and not sms.dry_run:
            return f"{self.own_prefix}:{own}" if self.own_prefix else own
        if sms.dry_run or not self.prefix:
            return ""
        said = json.dumps([sms.recipient, sms.sender, sms.body])
        digest = hashlib.sha256(said.encode(errors="replace")).hexdigest()
        return f"{self.prefix}:{digest[:32]}"

    def _known(self, keys: Sequence[str], using: str) -> dict[str, str | None]:
        """Return the numbers of the rows that have these keys; None where it was forgotten."""
        rows = Message.objects.using(using).filter(
            alias=self.backend.alias, key__in=[key for key in keys if "\x00" not in key]
        )
        found = rows.values_list("key", "recipient", "scrubbed")
        return {key: None if scrubbed else number for key, number, scrubbed in found if key}

    def _check_line(
        self,
        number: int,
        sms: SMS,
        checked: Checked,
        seen: _Seen,
        known: Mapping[str, str | None],
    ) -> None:
        try:
            self.backend.validate(self.backend.prepare(sms))
        except InvalidSMS as error:
            checked.problems[number] = str(error.args[0])
            return
        first = seen.numbers.setdefault(sms.key, (number, sms.recipient)) if sms.key else None
        if first and first[1] != sms.recipient:
            text = f"its key stands in line {first[0]}, for another number: give each its own."
            checked.problems[number] = text
        elif known.get(sms.key) not in (None, sms.recipient):
            text = "its key was used for another number before: give each its own."
            checked.problems[number] = text
        else:
            checked.lines += 1
            checked.known += sms.key in known
            checked.repeated += bool(first and first[0] != number)
            seen.note(sms)


def rows_of(recipients: Sequence[str]) -> Rows:
    """Return the rows of a list of numbers; a repeated one counts once."""
    numbers = list(dict.fromkeys(recipients))
    return lambda: ((n, {"recipient": number}) for n, number in enumerate(numbers, 1))


def finish(
    backend: BaseSMSBackend, primary_keys: Sequence[int], *, using: str, pause: float = 1.0
) -> Iterator[int]:
    """Send what another process has leased and does not send, as it was killed.

    Yields how many are still left, about once in `pause` seconds, until its lease is over and
    they are sent. What it was sending at the time becomes UNKNOWN.
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
