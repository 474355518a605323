"""The states of a message, and the one table of legal moves between them."""

from __future__ import annotations

from enum import Enum

from django.db.models.enums import TextChoices
from django.utils.translation import gettext_lazy as _


class State(TextChoices):
    """What happened to a message. Six words are the provider's own (specification 1.2.7)."""

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
    """The reason of a move. It decides from which states a message may move."""

    SENDING = "our own sending, under a lease"
    KEY = "a repeated call with the same key"
    PERSON = "a person"
    ABSENCE = "proof that the provider has no such message"
    RESTORE = "a restored backup, whose rows may be older than what they say"
    EVIDENCE = "an authentic callback, or the answer to the send itself"
    ANSWER = "the answer to the send itself, where it comes after what others held to be true"
    LOOKUP = "the provider's own record"
    RECORD = "the provider's record of the row's id, which names another message"


PROVIDER = frozenset(
    {
        State.NEW,
        State.PENDING,
        State.DELIVERED,
        State.UNDELIVERABLE,
        State.EXPIRED,
        State.REJECTED,
    }
)
"""The provider's six words."""

SETTLED_BY_PROVIDER = PROVIDER - {State.NEW, State.PENDING}
"""The provider's four last words."""

FINAL = SETTLED_BY_PROVIDER | {State.VALIDATED}
"""No callback moves a message out of these."""

UNFINISHED = frozenset({State.QUEUED, State.SENDING, State.NEW, State.PENDING, State.UNKNOWN})
"""Something is still expected to happen."""

RESENDABLE = frozenset(
    {
        State.FAILED,
        State.CANCELLED,
        State.UNDELIVERABLE,
        State.EXPIRED,
        State.REJECTED,
        State.DELIVERED,
    }
)
"""The message has ended, so you may send it once more. Settle an UNKNOWN one first."""

# Evidence that the provider has the message moves any row that is not final, even one that
# was held to have failed. Within the provider's words there is only forwards: a late NEW
# does not undo PENDING.
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
    # What the row said so far was said of another message, final or not; or it was given up for
    # lost while its refusal was on the way.
    Cause.ANSWER: {word: frozenset(State) - {State.VALIDATED, word} for word in PROVIDER}
    | {State.FAILED: frozenset({State.UNKNOWN})},
    # The provider's record is the authority: it alone may correct one final word into another.
    Cause.LOOKUP: _EVIDENCE
    | {word: _BEFORE_FINAL | (SETTLED_BY_PROVIDER - {word}) for word in SETTLED_BY_PROVIDER},
}


def sources(target: State, cause: Cause) -> frozenset[State]:
    """Return the states from which a message may move to `target` for this cause."""
    return MOVES[cause].get(target, frozenset())
