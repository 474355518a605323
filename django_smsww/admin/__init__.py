"""Django's admin for the message history: lists, pages and actions.

Each kind of change has its own permission, and needs a POST request. The class
`models.viewer.Viewer` decides whether a user sees numbers, texts and prices.
"""

from .batch import BatchAdmin
from .callback import CallbackAdmin
from .message import MessageAdmin
from .suppression import SuppressionAdmin
from .suspension import SuspensionAdmin

__all__ = ["BatchAdmin", "CallbackAdmin", "MessageAdmin", "SuppressionAdmin", "SuspensionAdmin"]
