"""What keeps a test from sending, and from seeing what another test has sent.

It imports nothing but the standard library until it is used in a project of Django.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django.test import override_settings

LOCMEM = "django_smsww.backends.locmem.SMSBackend"


def has_aliases() -> bool:
    """Tell whether this is a project of Django that has the setting SMSWW by now."""
    conf = sys.modules.get("django.conf")
    return conf is not None and conf.settings.configured and hasattr(conf.settings, "SMSWW")


def start_afresh() -> None:
    """Forget what earlier tests have sent, and what they have posted to the callback door."""
    # What nobody has imported by now has nothing to forget.
    if locmem := sys.modules.get("django_smsww.backends.locmem"):
        locmem.outbox.clear()
    if refusals := sys.modules.get("django_smsww.callbacks.refusals"):
        refusals.forget()
    if engines := sys.modules.get("django_smsww.worker.task_queues"):
        engines.forget_failures()


def all_at_locmem() -> override_settings:
    """Return what switches every alias to locmem: a context manager, or a decorator."""
    from django.test import override_settings

    from ..backends.handler import sms_backends

    return override_settings(SMSWW=at_locmem(sms_backends.setting))


def at_locmem(setting: Any) -> Any:
    """Return a value of the SMSWW setting with locmem in the place of every BACKEND.

    What is wrong with it is left to the look-up of an alias, whose errors say it.
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
