import os
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from ..exceptions import InvalidSMSBackend
from . import console


class SMSBackend(console.SMSBackend):
    """Append messages to a file in the directory `file_path`. Each process has its own file."""

    def __init__(self, *, file_path: str | os.PathLike[str] | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.file_path = _directory(file_path, options.get("alias"))

    def write(self, text: str) -> None:
        self.file_path.mkdir(parents=True, exist_ok=True)
        path = self.file_path / _file_name(os.getpid())
        with open(path, "a", encoding="utf-8", opener=_open_private) as file:
            file.write(text)


def _directory(file_path: Any, alias: str | None) -> Path:
    if not file_path:
        raise InvalidSMSBackend("OPTIONS must define 'file_path'.", alias=alias)
    if not isinstance(file_path, str | os.PathLike):
        raise InvalidSMSBackend("OPTIONS['file_path'] must be a path.", alias=alias)
    path = Path(file_path).absolute()
    if path.exists() and not path.is_dir():
        raise InvalidSMSBackend("OPTIONS['file_path'] must be a directory.", alias=alias)
    return path


@cache  # for each process: a forked process starts its own file
def _file_name(process: int) -> str:
    return f"sms-{datetime.now(UTC):%Y%m%d-%H%M%S}-{process}.log"


def _open_private(path: str, flags: int) -> int:
    # Only the developer may read numbers and texts.
    return os.open(path, flags, 0o600)
