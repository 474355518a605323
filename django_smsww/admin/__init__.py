"""The history in Django's admin: browse it, and act on messages.

Each change is a POST with its own permission. `permissions.Viewer` decides whether a person sees
numbers, texts and prices.
"""

from .batch import BatchAdmin
from .callback import CallbackAdmin
from .message import MessageAdmin
from .suppression import SuppressionAdmin
from .suspension import SuspensionAdmin

__all__ = ["BatchAdmin", "CallbackAdmin", "MessageAdmin", "SuppressionAdmin", "SuspensionAdmin"]
