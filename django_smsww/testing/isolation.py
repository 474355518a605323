"""Keep tests from sending, and from seeing the messages of other tests.

Outside a Django project it imports nothing but the standard library.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django.test import override_settings

LOCMEM = "django_smsww.backends.locmem.SMSBackend"


def has_aliases() -> bool:
    """Tell whether this is a Django project with the setting SMSWW."""
    conf = sys.modules.get("django.conf")
    return conf is not None and conf.settings.configured and hasattr(conf.settings, "SMSWW")


def start_afresh() -> None:
    """Forget the messages, refused callbacks and queue failures of earlier tests."""
    # A module that is not imported has nothing to forget.
    if locmem := sys.modules.get("django_smsww.backends.locmem"):
        locmem.outbox.clear()
    if refusals := sys.modules.get("django_smsww.callbacks.refusals"):
        refusals.forget()
    if task_queues := sys.modules.get("django_smsww.worker.task_queues"):
        task_queues.forget_failures()


def all_at_locmem() -> override_settings:
    """Return a context manager or decorator that switches every alias to locmem."""
    from django.test import override_settings

    from ..backends.handler import sms_backends

    return override_settings(SMSWW=at_locmem(sms_backends.setting))


def at_locmem(setting: Any) -> Any:
    """Return a value of the SMSWW setting with locmem in the place of every BACKEND.

    Mistakes in it stay, so that the look-up of an alias reports them.
    """
    if isinstance(setting, Mapping):
        return {alias: _entry(entry) for alias, entry in setting.items()}
    return LocmemResolver(setting)


class LocmemResolver:
    """Resolves an alias as the project's own resolver does, but to locmem."""

    def __init__(self, setting: Any) -> None:
        self.setting = setting

    def __call__(self, alias: str) -> Any:
        return _entry(self._entries()[alias])

    def aliases(self) -> Iterable[str]:
        """Return the aliases that the project's own resolver lists."""
        return list(self._entries())

    def _entries(self) -> Mapping[str, Any]:
        from ..backends.handler import entries_of

        return entries_of(self.setting)


def _entry(entry: Any) -> Any:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("OPTIONS", {}), Mapping):
        return entry
    from ..backends.handler import DEFAULT_BACKEND

    path = entry.get("BACKEND", DEFAULT_BACKEND)
    try:
        options = _options(path, entry.get("OPTIONS", {}))
    except ImportError:
        return entry
    return {**entry, "BACKEND": LOCMEM, "OPTIONS": options}


def _options(path: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options without those that only the backend of this path knows."""
    from django.utils.module_loading import import_string

    from ..backends.locmem import SMSBackend
    from ..backends.options import option_names

    strange = {*options}.difference(option_names(SMSBackend))
    known = option_names(import_string(path)) if strange else []
    return {name: value for name, value in options.items() if name not in strange & {*known}}
