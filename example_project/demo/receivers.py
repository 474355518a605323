"""What a project does when it hears of a delivery. Here: a line in the log."""

import logging
from typing import Any

from django.dispatch import receiver

from django_smsww import State
from django_smsww.models import Message
from django_smsww.signals import message_state_changed

logger = logging.getLogger("demo")


@receiver(message_state_changed)
def note_the_end(message: Message, state: str, **kwargs: Any) -> None:
    """Note how a message ended; the reference says which, and shows nothing to the log."""
    if state == State.DELIVERED:
        logger.info("Message %s was delivered", message.reference)
    elif message.is_final:
        logger.warning("Message %s ended as %s", message.reference, state)
