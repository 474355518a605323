"""A receiver: it writes a line to the log when a message has its final state."""

import logging
from typing import Any

from django.dispatch import receiver

from django_smsww import State
from django_smsww.models import Message
from django_smsww.signals import message_state_changed

logger = logging.getLogger("demo")


@receiver(message_state_changed)
def log_final_state(message: Message, state: str, **kwargs: Any) -> None:
    """Log the reference and the state: neither the number nor the text belongs in a log."""
    if state == State.DELIVERED:
        logger.info("Message %s was delivered", message.reference)
    elif message.is_final:
        logger.warning("Message %s ended as %s", message.reference, state)
