"""The records: what was asked, what became of it, and who said so.

No other package of the project writes `Message.state`. Every move is one conditional UPDATE made
from the table in `states.py`, so that late and repeated callbacks, and two workers on one row, are
harmless.
"""

from .callback import Callback, Outcome
from .counters import Counter, Heartbeat
from .event import Event
from .message import Message, fingerprint
from .preflight import Preflight
from .queryset import MessageQuerySet
from .summaries import DaySummary
from .suppression import Suppression
from .suspension import Suspension
from .totals import DailyTotal

__all__ = [
    "Callback",
    "Counter",
    "DailyTotal",
    "DaySummary",
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
