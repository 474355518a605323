"""The history in Django's admin: browse it, and send a message once more.

Nothing is written here but by a POST with a permission of its own, and what a person may see of
numbers, texts and prices is decided in one place, `viewer`.
"""

from .callback import CallbackAdmin
from .message import MessageAdmin
from .suppression import SuppressionAdmin
from .suspension import SuspensionAdmin

__all__ = ["CallbackAdmin", "MessageAdmin", "SuppressionAdmin", "SuspensionAdmin"]
