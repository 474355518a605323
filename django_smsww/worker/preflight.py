"""A dry run of each text and sender of a mass send, before the first of it leaves.

Forbidden words cost a fine for each message and block the whole account, while a dry run costs
nothing. So one message of each group is tried, and the group leaves, waits or fails by what it says
of the text or the sender.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from django.utils.translation.trans_null import gettext_noop as _

from ..backends.base import BaseSMSBackend
from ..exceptions import ContentRefused, SMSError, SMSRefused, SMSUnavailable, error_kind
from ..models import Message, Preflight
from ..sms import SMS

TRIES = 5
"""How many recipients of a group may be refused before it leaves, text and sender unjudged."""

NUMBERS_ENOUGH = 20
"""From how many numbers on a mass send has a preflight unless it is told otherwise."""

Group = tuple[UUID, str, str]

# Specification 1.2.7: the length and the form of the sender, and forbidden content.
_CODES = frozenset({"2021", "2024", "2044", "2050"})
_RECIPIENT_CODES = frozenset({"2011", "2013"})
# What has no code that is known: an alias that awaits approval, and failOnMultipleMessages.
_speaks_of_all = re.compile(
    r"not approved|\b(sender|alias|multiple|parts?|segments?)\b", re.IGNORECASE
).search


@dataclass
class Rehearsal:
    """What is known of the groups that one worker delivers.

    A verdict is None where the group may leave, else the error that keeps it back.
    """

    backend: BaseSMSBackend
    using: str
    verdicts: dict[Group, SMSError | None] = field(default_factory=dict)
    tried: dict[Group, set[int]] = field(default_factory=dict)

    def verdict(self, message: Message) -> SMSError | None:
        return self.verdicts.get(_group(message))

    def ask(
        self, messages: Sequence[Message], deadline: float
    ) -> list[tuple[Message, SMSError | None]]:
        """Make a dry run for each group that has no verdict; return what was asked and answered.

        What has not started by the deadline is not among them. A group whose recipient was
        refused still has no verdict: ask again, and another of its recipients is tried.
        """
        self._read(messages)
        chosen = self._choose(messages)
        results = self.backend.send_messages([_dry_run(one) for one in chosen], deadline=deadline)
        outcomes = [
            (message, result.error)
            for message, result in zip(chosen, results, strict=True)
            if result.error is None or result.error.code != "not_started"
        ]
        for message, error in outcomes:
            self._judge(message, error)
        return outcomes

    def _read(self, messages: Iterable[Message]) -> None:
        """Learn what other workers have found out."""
        groups = {_group(message) for message in messages} - self.verdicts.keys()
        if not groups:
            return
        known = Preflight.objects.using(self.using).filter(
            environment=self.backend.environment,
            alias=self.backend.alias,
            batch__in={batch for batch, _sender, _text in groups},
            fingerprint__in={text for _batch, _sender, text in groups},
        )
        for preflight in known:
            group = (preflight.batch, preflight.sender, preflight.fingerprint)
            self.verdicts[group] = _error_of(preflight)

    def _choose(self, messages: Iterable[Message]) -> list[Message]:
        """Return one message of each group without a verdict, none of which was tried yet."""
        chosen: dict[Group, Message] = {}
        for message in messages:
            group = _group(message)
            if group not in self.verdicts and message.pk not in self.tried.get(group, ()):
                chosen.setdefault(group, message)
        return list(chosen.values())

    def _judge(self, message: Message, error: SMSError | None) -> None:
        group = _group(message)
        tried = self.tried.setdefault(group, set())
        tried.add(message.pk)
        if error is not None and not isinstance(error, SMSRefused):
            # It holds for this worker only: when the messages are tried again, so is this.
            self.verdicts[group] = _unavailable(error)
        elif error is None or concerns_all(error):
            self._decide(message, error)
        elif len(tried) >= TRIES:
            self._decide(message, None)

    def _decide(self, message: Message, error: SMSError | None) -> None:
        """Keep a verdict, so that no other worker needs to ask."""
        group = batch, sender, text = _group(message)
        self.verdicts[group] = error
        verdict = Preflight(
            environment=message.environment,
            alias=message.alias,
            batch=batch,
            sender=sender,
            fingerprint=text,
            passed=error is None,
            error=type(error).__name__ if error else "",
            error_code=error.code[:32] if error else "",
            error_text=(error.detail or str(error.args[0]))[:500] if error else "",
        )
        Preflight.objects.using(self.using).bulk_create([verdict], ignore_conflicts=True)


def concerns_all(error: SMSRefused) -> bool:
    """Whether a refusal speaks of the text or the sender, and so of every message of the group."""
    if isinstance(error, ContentRefused) or error.code in _CODES:
        return True
    return error.code not in _RECIPIENT_CODES and bool(_speaks_of_all(error.detail))


def _group(message: Message) -> Group:
    # What has a preflight and no batch is a group of its own.
    return (message.batch or message.reference, message.sender, message.fingerprint)


def _dry_run(message: Message) -> SMS:
    # A reference of its own: whatever is heard of it must not be taken for the message.
    return message.as_sms().replace(dry_run=True, reference=uuid4())


def _unavailable(error: SMSError) -> SMSError:
    """Return the error of the group: nothing was sent, whatever became of the dry run."""
    if isinstance(error, SMSUnavailable):
        return error
    return SMSUnavailable(
        _("The preflight got no answer; nothing was sent"),
        code="preflight_unanswered",
        status=error.status,
        detail=error.detail,
        retry_after=error.retry_after,
    )


def _error_of(preflight: Preflight) -> SMSError | None:
    if preflight.passed:
        return None
    kind = error_kind(preflight.error)
    return kind(code=preflight.error_code, detail=preflight.error_text)
