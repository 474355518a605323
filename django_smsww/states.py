"""The states of a message, and the table of allowed changes between them."""

from enum import Enum

from django.db.models.enums import TextChoices
from django.utils.translation import gettext_lazy as _


class State(TextChoices):
    """The state of a message. Six states come from the provider's specification 1.2.7."""

    QUEUED = "QUEUED", _("Queued")
    SENDING = "SENDING", _("Sending")
    NEW = "NEW", _("Accepted")
    PENDING = "PENDING", _("On its way")
    DELIVERED = "DELIVERED", _("Delivered")
    UNDELIVERABLE = "UNDELIVERABLE", _("Undeliverable")
    EXPIRED = "EXPIRED", _("Expired")
    REJECTED = "REJECTED", _("Rejected")
    VALIDATED = "VALIDATED", _("Validated, not sent")
    FAILED = "FAILED", _("Failed")
    CANCELLED = "CANCELLED", _("Cancelled")
    UNKNOWN = "UNKNOWN", _("Outcome unknown")


class Cause(Enum):
    """The reason for a change of state. `MOVES` lists the changes that each reason allows."""

    SENDING = "our own sending, under a lease"
    KEY = "a repeated call with the same key"
    PERSON = "a person"
    ABSENCE = "proof that the provider has no such message"
    RESTORE = "a restored backup, whose messages may have been sent since it was made"
    EVIDENCE = "an authentic callback, or the answer to the send itself"
    ANSWER = "the answer to the send itself, after the state was changed for another reason"
    LOOKUP = "the provider's own record"
    RECORD = "the provider's record of the row's id, which names another message"


SETTLED_BY_PROVIDER = frozenset(
    {State.DELIVERED, State.UNDELIVERABLE, State.EXPIRED, State.REJECTED}
)
"""The four final states that the provider reports."""

PROVIDER = SETTLED_BY_PROVIDER | {State.NEW, State.PENDING}
"""The six states that the provider reports."""

FINAL = SETTLED_BY_PROVIDER | {State.VALIDATED}
"""Final states: no callback changes a message in one of these states."""

UNFINISHED = frozenset({State.QUEUED, State.SENDING, State.NEW, State.PENDING, State.UNKNOWN})
"""States after which a message is expected to get another state."""

RESENDABLE = SETTLED_BY_PROVIDER | {State.FAILED, State.CANCELLED}
"""States of finished messages, which may be resent. UNKNOWN is not included."""

UNDELIVERED = RESENDABLE - {State.DELIVERED, State.CANCELLED}
"""States of finished messages that were neither delivered nor cancelled by a person."""

# Evidence that the provider has the message changes any row that is not final, even a FAILED one.
# The provider's words only go forward: a late NEW does not undo PENDING.
_BEFORE_NEW = frozenset(State) - FINAL - {State.NEW, State.PENDING}
_BEFORE_PENDING = _BEFORE_NEW | {State.NEW}
_BEFORE_FINAL = _BEFORE_PENDING | {State.PENDING}

_EVIDENCE: dict[State, frozenset[State]] = {
    State.NEW: _BEFORE_NEW,
    State.PENDING: _BEFORE_PENDING,
    **dict.fromkeys(SETTLED_BY_PROVIDER, _BEFORE_FINAL),
}

MOVES: dict[Cause, dict[State, frozenset[State]]] = {
    Cause.SENDING: {
        State.SENDING: frozenset({State.QUEUED}),
        State.QUEUED: frozenset({State.SENDING}),
        State.VALIDATED: frozenset({State.SENDING}),
        State.FAILED: frozenset({State.QUEUED, State.SENDING}),
        State.UNKNOWN: frozenset({State.SENDING}),
    },
    Cause.KEY: {State.QUEUED: frozenset({State.FAILED})},
    Cause.PERSON: {
        State.CANCELLED: frozenset({State.QUEUED}),
        State.FAILED: frozenset({State.UNKNOWN}),
        State.PENDING: frozenset({State.UNKNOWN}),
    },
    Cause.ABSENCE: {State.FAILED: frozenset({State.UNKNOWN})},
    Cause.RESTORE: {State.UNKNOWN: frozenset({State.QUEUED, State.SENDING})},
    Cause.EVIDENCE: _EVIDENCE,
    Cause.RECORD: {State.UNKNOWN: PROVIDER},
    # The state so far was another message's, final or not; or the row became UNKNOWN while the
    # refusal was on its way.
    Cause.ANSWER: {word: frozenset(State) - {State.VALIDATED, word} for word in PROVIDER}
    | {State.FAILED: frozenset({State.UNKNOWN})},
    # Only the provider's record may replace one final word by another.
    Cause.LOOKUP: _EVIDENCE
    | {word: _BEFORE_FINAL | (SETTLED_BY_PROVIDER - {word}) for word in SETTLED_BY_PROVIDER},
}


def sources(target: State, cause: Cause) -> frozenset[State]:
    """Return the states from which this cause allows a change to `target`."""
    return MOVES[cause].get(target, frozenset())
