"""Backends that reach outside, as far as anyone can tell, and answer as a test says."""

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


class KnowingBackend(BaseSMSBackend):
    """Answer look-ups from a dict, and list what is in `listed`."""

    known: dict[str, SendResult | Exception] = {}
    listed: list[SendResult] = []
    asked: list[str] = []

    def fetch(self, provider_id: str) -> SendResult | None:
        self.asked.append(provider_id)
        answer = self.known.get(provider_id)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def fetch_page(self, skip: int, limit: int) -> list[SendResult]:
        self.asked.append("list")
        return self.listed[skip : skip + limit]


SMSWW = {"default": {"BACKEND": "tests.support.backends.ScriptedBackend"}}
