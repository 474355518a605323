"""A backend that reaches outside, as far as anyone can tell, and answers as a test says."""

from __future__ import annotations

from threading import Lock

from django_smsww.backends.base import BaseSMSBackend
from django_smsww.sms import SMS, SendResult


class ScriptedBackend(BaseSMSBackend):
    """Answer each message with what `answer` returns or raises; `sent` lists those that came."""

    sent: list[SMS] = []
    lock = Lock()

    @staticmethod
    def answer(sms: SMS) -> SendResult:
        return SendResult(provider_id=f"id-{sms.reference}", state="NEW")

    def send(self, sms: SMS) -> SendResult:
        with self.lock:
            self.sent.append(sms)
        return type(self).answer(sms)


SMSWW = {"default": {"BACKEND": "tests.support.backends.ScriptedBackend"}}
