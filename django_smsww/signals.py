"""The signals of this package, which are sent with `send_robust` after the commit.

If a receiver raises an error, the change of the message is kept. The sender is the class Message.
The arguments are `message` and `state` (both after the change) and `using` (the database alias).
"""

from django.dispatch import Signal

message_sent = Signal()
"""The gateway accepted a message. A dry run does not send this signal."""

message_failed = Signal()
"""A message became FAILED or UNKNOWN."""

message_state_changed = Signal()
"""The state of a message changed. `message_sent` or `message_failed` may be sent in addition."""
