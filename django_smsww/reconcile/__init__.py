"""Ask the provider what became of unknown and unfinished messages.

The gateway takes no idempotency key. So a sync searches the provider's list for messages whose
answer was lost: by the reference that was sent along and, where the list brings no references
back, by number, text, sender and time. A message that is found is adopted. A sync says that a
message never arrived only with positive controls: the list must show messages of ours that left
before it and after it. In every doubt the message stays UNKNOWN, and its row says why.
"""

from .adoption import adopt_history
from .refreshing import Refreshed, refresh, why_not_refreshable
from .report import Adoption, Reason, SyncReport
from .run import hold_after_restore, look_up, sync

__all__ = [
    "Adoption",
    "Reason",
    "Refreshed",
    "SyncReport",
    "adopt_history",
    "hold_after_restore",
    "look_up",
    "refresh",
    "sync",
    "why_not_refreshable",
]
