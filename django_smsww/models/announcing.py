"""The signals of a move: who listens, and when they are sent."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from typing import TYPE_CHECKING

from django.dispatch import Signal

from ..signals import message_failed, message_sent, message_state_changed
from ..states import PROVIDER, Cause, State, sources

if TYPE_CHECKING:
    from .message import Message
    from .queryset import MessageQuerySet


def announce_row(message: Message, is_first: bool = False) -> None:
    """Send the signals of a move that is committed, with a copy of this row."""
    signals = heard(type(message), State(message.state), is_first)
    if signals:
        _send(signals, copy(message), State(message.state))


def heard(model: type[Message], state: State, is_first: bool) -> list[Signal]:
    """Return the signals of a move to this state that somebody listens to."""
    signals = [message_state_changed]
    if state in (State.FAILED, State.UNKNOWN):
        signals.append(message_failed)
    if state in PROVIDER and is_first:
        signals.append(message_sent)
    return [signal for signal in signals if signal.has_listeners(model)]


def by_signals(
    rows: MessageQuerySet, target: State, cause: Cause
) -> Iterator[tuple[MessageQuerySet, bool]]:
    """Split the rows by whether the move is the provider's first word about them.

    Only that first word sends `message_sent`, and an UPDATE does not return the old state. The
    likely rows come first, and all rows last: an answer may arrive between two of the statements.
    """
    if target in PROVIDER and message_sent.has_listeners(rows.model):
        if sources(target, cause) & PROVIDER:
            yield rows.filter(state__in=PROVIDER), False
        yield rows.exclude(state__in=PROVIDER), True
    yield rows, False


def announce_stored(rows: MessageQuerySet, signals: list[Signal], state: State) -> None:
    """Send the signals of a move with the one row of this queryset as it is stored now.

    Rows from elsewhere have none: receivers expect messages that their project has sent.
    """
    message = rows.sent_here().first()
    if message:
        _send(signals, message, state)


def _send(signals: list[Signal], message: Message, state: State) -> None:
    for signal in signals:
        signal.send_robust(type(message), message=message, state=state, using=message._state.db)
