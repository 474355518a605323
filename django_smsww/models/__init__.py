"""The models: messages, callbacks, events, suspensions, quotas and statistics.

Only this package changes `Message.state`. Each change of state (a move) is one UPDATE. The WHERE
clause of this UPDATE lists the old states from which `states.py` allows the change. So a late or
repeated callback cannot undo a newer state, and two workers cannot both start to send one row.
"""

from .batch import Batch
from .callback import Callback, Outcome
from .counters import Counter, Heartbeat
from .event import Event
from .message import Message, fingerprint
from .preflight import Preflight
from .queryset import MessageQuerySet
from .suppression import Suppression
from .suspension import Suspension
from .totals import DailyTotal

__all__ = [
    "Batch",
    "Callback",
    "Counter",
    "DailyTotal",
    "Event",
    "Heartbeat",
    "Message",
    "MessageQuerySet",
    "Outcome",
    "Preflight",
    "Suppression",
    "Suspension",
    "fingerprint",
]
