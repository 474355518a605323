"""Ask the provider what became of unknown and unfinished messages.

The gateway takes no idempotency key, so a message whose answer was lost is looked for in the
provider's list: by the reference that was sent along and, where the list does not bring references
back, by number, text, sender and time. What is found is adopted. That a message is *absent* is
claimed only with a positive control; in every doubt it stays UNKNOWN, and its row says why.
"""

from .report import Reason, SyncReport, Unsettled
from .run import hold, look_up, sync

__all__ = ["Reason", "SyncReport", "Unsettled", "hold", "look_up", "sync"]
