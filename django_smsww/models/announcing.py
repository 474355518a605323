"""Send the signals for a change of state, after the change is committed."""

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
    """Send the signals for a committed change of state. The receivers get a copy of `message`."""
    signals = heard(type(message), State(message.state), is_first)
    if signals:
        _send(signals, copy(message), State(message.state))


def heard(model: type[Message], state: State, is_first: bool) -> list[Signal]:
    """Return the signals to send for a change to this state. Leave out signals without receivers.

    `is_first` is True if the provider had not accepted the message before this change.
    """
    signals = [message_state_changed]
    if state in (State.FAILED, State.UNKNOWN):
        signals.append(message_failed)
    if state in PROVIDER and is_first:
        signals.append(message_sent)
    return [signal for signal in signals if signal.has_listeners(model)]


def by_signals(
    rows: MessageQuerySet, target: State, cause: Cause
) -> Iterator[tuple[MessageQuerySet, bool]]:
    """Split rows by whether a change to `target` must send the signal `message_sent`.

    Yield pairs of a queryset and a bool, which is True if the signal must be sent. The caller
    updates one queryset after the other:

    1. Without the signal: the rows that the provider accepted earlier.
    2. With the signal: the other rows.
    3. Without the signal: all rows. If another process changes a row just after the first UPDATE,
       the first two UPDATEs can both miss the row. The third one finds it.

    If nobody listens to the signal, yield only the last queryset.
    """
    if target in PROVIDER and message_sent.has_listeners(rows.model):
        if sources(target, cause) & PROVIDER:
            yield rows.filter(state__in=PROVIDER), False
        yield rows.exclude(state__in=PROVIDER), True
    yield rows, False


def announce_stored(rows: MessageQuerySet, signals: list[Signal], state: State) -> None:
    """Send these signals for the only row in `rows`, unless another program sent the message."""
    message = rows.sent_here().first()
    if message:
        _send(signals, message, state)


def _send(signals: list[Signal], message: Message, state: State) -> None:
    for signal in signals:
        signal.send_robust(type(message), message=message, state=state, using=message._state.db)
