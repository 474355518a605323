"""Preflights: free dry runs that test the texts and senders of a mass send before they are used.

Forbidden words cost a fine for each message and block the whole account. A dry run costs nothing.
So before the worker sends a group (all messages of a batch with the same text and sender), it makes
a dry run of one of these messages. The result decides whether the group is sent, waits or fails.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from django.utils.translation.trans_null import gettext_noop as _

from ..backends.base import BaseSMSBackend
from ..exceptions import ContentRefused, SMSError, SMSRefused, SMSUnavailable, error_kind
from ..models import Message, Preflight
from ..sms import SMS

MOST_TRIES = 5
"""With how many recipients a worker tries the dry run of a group, if the gateway refuses them.

After these tries, the worker sends the group, although its text and sender were not tested.
"""

NUMBERS_ENOUGH = 20
"""A mass send to this many numbers or more makes a preflight (dry run) by default."""

Group = tuple[UUID, str, str]
"""What the messages of a group have in common: batch, sender, and digest of the text."""

# Specification 1.2.7: the length and the form of the sender, and forbidden content.
_CODES = frozenset({"2021", "2024", "2044", "2050"})
_RECIPIENT_CODES = frozenset({"2011", "2013"})
# Refusals without a known code: an alias that awaits approval, and failOnMultipleMessages.
_speaks_of_all = re.compile(
    r"not approved|\b(sender|alias|multiple|parts?|segments?)\b", re.IGNORECASE
).search


@dataclass
class Preflights:
    """The preflights (dry runs) of one worker, and their verdicts.

    The verdict on a group (same batch, text and sender) is None if the group may be sent. Otherwise
    the verdict is the error that stops the group.
    """

    backend: BaseSMSBackend
    using: str
    verdicts: dict[Group, SMSError | None] = field(default_factory=dict)
    tried: dict[Group, set[int]] = field(default_factory=dict)

    def verdict(self, message: Message) -> SMSError | None:
        return self.verdicts.get(_group(message))

    def run(
        self, messages: Sequence[Message], deadline: float
    ) -> list[tuple[Message, SMSError | None]]:
        """Make one dry run for each group (same batch, text and sender) that has no verdict yet.

        Return the messages whose dry run started before `deadline` (a value of `elapsed()`), each
        with the error of the dry run or None. If the gateway refused only the recipient, the next
        call of `run()` makes a dry run of another message of the group.
        """
        self._read_verdicts(messages)
        chosen = self._choose(messages)
        dry_runs = [self._dry_run(one) for one in chosen]
        results = self.backend.send_messages(dry_runs, deadline=deadline)
        outcomes = [
            (message, result.error)
            for message, result in zip(chosen, results, strict=True)
            if result.error is None or result.error.code != "not_started"
        ]
        for message, error in outcomes:
            self._judge(message, error)
        return outcomes

    def _dry_run(self, message: Message) -> SMS:
        number = self.backend.redirected(message.recipient) or message.recipient
        # With its own reference, no callback for it is taken for a callback of the message.
        return message.as_sms().replace(recipient=number, dry_run=True, reference=uuid4())

    def _read_verdicts(self, messages: Iterable[Message]) -> None:
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
        """For each group without a verdict, return one message that was not tried yet."""
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
            # Not stored: a worker that tries the messages again repeats the dry run.
            self.verdicts[group] = _unavailable(error)
        elif error is None or concerns_all(error):
            self._store_verdict(message, error)
        elif len(tried) >= MOST_TRIES:
            self._store_verdict(message, None)

    def _store_verdict(self, message: Message, error: SMSError | None) -> None:
        """Store the verdict on the message's group, so that other workers need no dry run."""
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
    """Return True if the gateway refused the text or the sender of a message, not its recipient."""
    if isinstance(error, ContentRefused) or error.code in _CODES:
        return True
    return error.code not in _RECIPIENT_CODES and bool(_speaks_of_all(error.detail))


def _group(message: Message) -> Group:
    # A message without a batch is a group of its own.
    return (message.batch or message.reference, message.sender, message.fingerprint)


def _unavailable(error: SMSError) -> SMSError:
    """Return an SMSUnavailable in place of an error that leaves the outcome open.

    A dry run sends no message. So after such an error, it is safe to try again.
    """
    if isinstance(error, SMSUnavailable):
        return error
    return SMSUnavailable(
        _("The preflight got no clear answer; nothing was sent"),
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
