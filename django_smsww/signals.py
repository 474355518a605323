"""Signals, sent after the commit with `send_robust`: a receiver that raises undoes nothing.

Each is sent by the Message class and carries `message` (the row as it was read after the move),
`state` (where it moved) and `using` (the database alias).
"""

from django.dispatch import Signal

message_sent = Signal()
"""The gateway accepted a message. A dry run is never sent."""

message_failed = Signal()
"""A message became FAILED or UNKNOWN."""

message_state_changed = Signal()
"""A message moved to any state; the two signals above are sent, too."""
