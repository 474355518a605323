"""The records: messages, callbacks, events, and the records that limit sending.

Only this package writes `Message.state`. Every move is one conditional UPDATE, built from the table
in `states.py`. So late and repeated callbacks, and two workers on one row, do no harm.
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
