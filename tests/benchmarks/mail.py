"""An e-mail backend that takes as long as a provider, and does nothing."""

from __future__ import annotations

import time
from typing import Any

from django.core.mail.backends.base import BaseEmailBackend

from .sending import LATENCY


class SlowBackend(BaseEmailBackend):
    def send_messages(self, messages: Any) -> int:
        for _ in messages:
            time.sleep(LATENCY)
        return len(messages)
