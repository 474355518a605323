import sys
import threading
from typing import Any, TextIO

from ..exceptions import InvalidSMSBackend
from ..segments import SegmentCount
from ..sms import SMS
from .local import LocalSMSBackend

# One lock for all backends: each look-up makes a new backend, and they may share a stream.
_writing = threading.Lock()


class SMSBackend(LocalSMSBackend):
    """Write messages to `stream`, an open text file. The default is `sys.stdout`."""

    def __init__(self, *, stream: TextIO | None = None, **options: Any) -> None:
        super().__init__(**options)
        if stream is not None and not hasattr(stream, "write"):
            alias = options.get("alias")
            raise InvalidSMSBackend("OPTIONS['stream'] must be a text file.", alias=alias)
        self.stream = stream

    def accept(self, sms: SMS, provider_id: str, count: SegmentCount) -> None:
        with _writing:
            self.write(_as_text(sms, provider_id, count))

    def write(self, text: str) -> None:
        """Write the text of one message. Only one thread at a time calls this method."""
        stream = self.stream or sys.stdout
        # A terminal without emoji must not make a message fail.
        encoding = getattr(stream, "encoding", None) or "utf-8"
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()


def _as_text(sms: SMS, provider_id: str, count: SegmentCount) -> str:
    lines = [
        f"To: {sms.recipient}",
        f"From: {sms.sender or '(the default sender)'}",
        f"Size: {count.encoding}, characters: {count.characters}, segments: {count.segments}",
        f"Reference: {sms.reference}",
        f"Id: {provider_id or '(none: a dry run, nothing was sent)'}",
        "",
        sms.body,
        "-" * 79,
    ]
    return "\n".join(lines) + "\n"
