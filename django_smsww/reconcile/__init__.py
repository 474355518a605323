"""Ask the provider about UNKNOWN and unfinished messages.

The gateway takes no idempotency key. So if a response was lost, the message must not simply be sent
again. Instead, a sync searches the provider's list for the message, by our reference. If the list
shows no references, the search is by number, text, sender and time. To decide that a message never
arrived, a sync needs two other messages of ours in the list: an earlier one, and a later one.
For the first message of an alias, the later one is enough. If the sync cannot decide, the message
stays UNKNOWN, and its row stores the reason.
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
