"""Build backends from the SMSWW setting.

`sms_backends` works like `django.core.mail.mailers` of Django 6.1.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from django.conf import ENVIRONMENT_VARIABLE, settings
from django.utils.module_loading import import_string

from ..exceptions import InvalidSMSBackend, SMSBackendDoesNotExist
from ..gateway.secret import masked
from ..test_runs import is_isolated
from .base import BaseSMSBackend
from .locmem import SMSBackend
from .options import option_names

DEFAULT_ALIAS = "default"
DEFAULT_BACKEND = "django_smsww.backends.openapi.SMSBackend"

Resolver = Callable[[str], Mapping[str, Any] | None]


class SMSBackendsHandler:
    """The backends that the SMSWW setting defines, as a read-only mapping.

    Each look-up builds a new backend from the current setting. In a test run, the locmem backend
    replaces the project's backend, so that nothing is sent. A test may set SMSWW to another backend
    that sends nothing, such as the console backend.
    """

    def __getitem__(self, alias: str, /) -> BaseSMSBackend:
        try:
            # Masked before anything can fail, so that no error report shows a token.
            entry = masked(self.settings[alias])
        except KeyError:
            raise SMSBackendDoesNotExist(alias) from None
        _check_entry(entry, alias)
        options = entry.get("OPTIONS", {})
        _check_options(options, alias)
        backend = _backend_class(_path(entry), alias)
        if is_isolated() and (backend.delivers_on_commit or _is_of_project(entry, alias)):
            return _locmem(backend, alias, options)
        return backend(alias=alias, **options)

    def __contains__(self, alias: object, /) -> bool:
        return alias in self.settings

    def __iter__(self) -> Iterator[str]:
        """Yield the aliases. If SMSWW is a function without the attribute `aliases`, yield none."""
        return iter(self.settings)

    def get(self, alias: str, /, default: Any = None) -> BaseSMSBackend | Any:
        try:
            return self[alias]
        except SMSBackendDoesNotExist:
            return default

    @property
    def default(self) -> BaseSMSBackend:
        return self[DEFAULT_ALIAS]

    @property
    def settings(self) -> Mapping[str, Any]:
        """The SMSWW setting as a mapping of aliases to their entries."""
        return entries_of(getattr(settings, "SMSWW", {}))


class ResolvedSettings(Mapping[str, Any]):
    """The SMSWW setting if it is a function, for example one that reads a database of tenants.

    `resolver(alias)` returns the entry of this alias, `{"BACKEND": …, "OPTIONS": {…}}`. For an
    unknown alias, it returns None or raises KeyError. The resolver can have an attribute `aliases`,
    a function that returns all aliases. Without this attribute, iteration yields no alias.
    """

    def __init__(self, resolver: Resolver) -> None:
        self.resolver = resolver

    def __getitem__(self, alias: str, /) -> Mapping[str, Any]:
        entry = self.resolver(alias)
        if entry is None:
            raise KeyError(alias)
        return entry

    def __iter__(self) -> Iterator[str]:
        aliases = getattr(self.resolver, "aliases", tuple)
        return iter(aliases())

    def __len__(self) -> int:
        return sum(1 for _ in self)


def entries_of(value: Any) -> Mapping[str, Any]:
    """Convert a value of the SMSWW setting to a mapping of aliases to their entries."""
    if isinstance(value, Mapping):
        return value
    return ResolvedSettings(_resolver(value))


def _resolver(value: Any) -> Resolver:
    if isinstance(value, str):
        try:
            value = import_string(value)
        except ImportError as error:
            raise InvalidSMSBackend(
                f"The resolver that SMSWW names cannot be imported: {error}"
            ) from error
    if not callable(value):
        raise InvalidSMSBackend(
            "SMSWW must be a dict of aliases, or a callable (or its dotted path) that "
            "returns the entry of an alias."
        )
    return value


def _check_entry(entry: Any, alias: str) -> None:
    if not isinstance(entry, Mapping):
        raise InvalidSMSBackend("must be a dict with BACKEND and OPTIONS.", alias=alias)
    for key in entry:
        if key not in ("BACKEND", "OPTIONS"):
            meant = get_close_matches(str(key).upper(), ["BACKEND", "OPTIONS"], n=1)
            hint = f"Did you mean {meant[0]!r}?" if meant else "Options belong into OPTIONS."
            raise InvalidSMSBackend(f"Unknown key {key!r}. {hint}", alias=alias)


def _check_options(options: Any, alias: str) -> None:
    if not isinstance(options, Mapping) or not all(isinstance(name, str) for name in options):
        raise InvalidSMSBackend("OPTIONS must be a dict with names as keys.", alias=alias)
    if "alias" in options:
        raise InvalidSMSBackend("OPTIONS must not define 'alias'.", alias=alias)


def _backend_class(path: Any, alias: str) -> type[BaseSMSBackend]:
    if not isinstance(path, str):
        raise InvalidSMSBackend("BACKEND must be the dotted path of a class.", alias=alias)
    try:
        backend = import_string(path)
    except ImportError as error:
        raise InvalidSMSBackend(
            f"BACKEND {path!r} cannot be imported: {error}", alias=alias
        ) from error
    if not (isinstance(backend, type) and issubclass(backend, BaseSMSBackend)):
        raise InvalidSMSBackend(
            f"BACKEND {path!r} must be a subclass of BaseSMSBackend.", alias=alias
        )
    return backend


def _path(entry: Mapping[str, Any]) -> Any:
    return entry.get("BACKEND", DEFAULT_BACKEND)


def _is_of_project(entry: Mapping[str, Any], alias: str) -> bool:
    """Whether `entry` has the same backend as the entry of this alias in the settings file."""
    file = sys.modules.get(os.environ.get(ENVIRONMENT_VARIABLE, ""))
    try:
        return _path(entries_of(getattr(file, "SMSWW", {}))[alias]) == _path(entry)
    except (KeyError, AttributeError, InvalidSMSBackend):
        return False


def _locmem(backend: type[BaseSMSBackend], alias: str, options: Mapping[str, Any]) -> SMSBackend:
    """Return a locmem backend with these options.

    Leave out options of the class `backend` that the locmem backend does not have.
    """
    foreign = {*option_names(backend)}.difference(option_names(SMSBackend))
    known = {name: value for name, value in options.items() if name not in foreign}
    return SMSBackend(alias=alias, **known)


sms_backends = SMSBackendsHandler()


def region_of(alias: str = DEFAULT_ALIAS) -> str:
    """Return the option `region` of an alias, or "" if the alias is missing or misconfigured."""
    try:
        return sms_backends[alias].region
    except InvalidSMSBackend:
        return ""
