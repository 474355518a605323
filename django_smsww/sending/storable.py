"""The columns that a text fills, and those that can be stored of a message that is not valid."""

from __future__ import annotations

from typing import Any

from ..models import fingerprint
from ..segments import count_segments
from ..sms import SMS


def text_columns(body: str) -> dict[str, Any]:
    count = count_segments(body)
    return {
        "body": body,
        "fingerprint": fingerprint(body),
        "encoding": count.encoding,
        "characters": count.characters,
        "segments": count.segments,
    }


def storable_columns(sms: SMS) -> dict[str, Any]:
    """Return the columns of an invalid message, in a form that every database can store."""
    return {
        "key": _storable(sms.key, 255) or None,
        "recipient": _storable("" if sms.recipient is None else str(sms.recipient), 32),
        "sender": _storable(sms.sender, 32),
        "body": "" if sms.sensitive else _storable(sms.body),
        "scrubbed": bool(sms.sensitive),
        "sensitive": bool(sms.sensitive),
        "dry_run": sms.dry_run is True,
        "tag": _storable(sms.tag, 64),
    }


def _storable(value: object, limit: int | None = None) -> str:
    """Return the part of a string that every database can store, and "" for other values."""
    if not isinstance(value, str):
        return ""
    clean = value.replace("\x00", "").encode(errors="ignore").decode()
    return clean[:limit]
