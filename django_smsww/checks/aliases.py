"""The system checks of aliases and their options, and the aliases that other checks look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from django.apps import apps
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from ..backends.base import BaseSMSBackend
from ..backends.handler import DEFAULT_ALIAS, DEFAULT_BACKEND, ResolvedSettings, sms_backends
from ..backends.local import LocalSMSBackend
from ..backends.validation import SENDER_RULE, is_sender
from ..exceptions import InvalidSMSBackend

CONTRIB = "django_smsww.contrib."

Messages = list[CheckMessage]


def check_aliases(**kwargs: Any) -> Messages:
    """E001: every alias can be built."""
    problems = [_problem(alias) for alias in aliases() if not _lacks_token(alias)]
    hint = "Correct the SMSWW setting; until then nothing can be sent with this alias."
    return [
        Error(str(problem), hint=hint, id="smsww.E001")
        for problem in [_problem(), *problems]
        if problem
    ]


def check_token(**kwargs: Any) -> Messages:
    """E002: an alias of the openapi backend has a token."""
    return [
        Error(
            f"SMSWW[{alias!r}]: OPTIONS must define 'token'.",
            hint="Read it from the environment. A sandbox token does not work in production.",
            id="smsww.E002",
        )
        for alias in aliases()
        if _lacks_token(alias)
    ]


def check_sender(**kwargs: Any) -> Messages:
    """E003: the gateway accepts the sender."""
    return [
        Error(
            f"SMSWW[{alias!r}]: OPTIONS['sender'] is not a sender that the gateway takes.",
            hint=f"Write {SENDER_RULE}; or leave it out, and the gateway's own name appears.",
            id="smsww.E003",
        )
        for alias, backend in backends()
        if not is_sender(backend.sender)
    ]


def check_development_backend(**kwargs: Any) -> Messages:
    """W003 (deploy): messages reach telephones."""
    return [
        Warning(
            f"SMSWW[{alias!r}]: {type(backend).__module__} is a backend for development.",
            hint=f"Nothing reaches a telephone. Use {DEFAULT_BACKEND!r}.",
            id="smsww.W003",
        )
        for alias, backend in backends()
        if isinstance(backend, LocalSMSBackend)
    ]


def check_host(**kwargs: Any) -> Messages:
    """W004 (deploy): messages go to the gateway, not to a simulator on this machine."""
    return [
        Warning(
            f"SMSWW[{alias!r}]: OPTIONS['host'] is this machine, so this is a simulator.",
            hint="Nothing reaches a telephone. Leave 'host' out, or write 'production'.",
            id="smsww.W004",
        )
        for alias, _ in outward_backends()
        if is_this_machine(str(options_of(alias).get("host", "")))
    ]


def check_staging(**kwargs: Any) -> Messages:
    """W008 (deploy): every number gets its own messages."""
    return [
        Warning(
            f"SMSWW[{alias!r}]: {_staging(backend)}.",
            hint="Keep allowed_recipients and redirect_to for staging systems.",
            id="smsww.W008",
        )
        for alias, backend in backends()
        if backend.is_staging
    ]


def _staging(backend: BaseSMSBackend) -> str:
    if backend.redirect_to:
        return "messages go to the number in OPTIONS['redirect_to'], not to their recipients"
    return "only the numbers in OPTIONS['allowed_recipients'] get messages"


def check_environment(**kwargs: Any) -> Messages:
    """W005: rows name their deployment."""
    return [
        Warning(
            f"SMSWW[{alias!r}]: no environment can be derived, for there is no 'callback_url'.",
            hint="Give OPTIONS an 'environment' such as 'production': it keeps a copy of this "
            "database, on a staging machine, from sending what waits here.",
            id="smsww.W005",
        )
        for alias, backend in outward_backends()
        if not backend.environment
    ]


def check_default(**kwargs: Any) -> Messages:
    """W006: there is an alias for calls without `using`."""
    if not _can_be_listed() or DEFAULT_ALIAS in sms_backends:
        return []
    hint = (
        "Calls that name no alias fail. Define SMSWW = {'default': {'OPTIONS': {'token': …}}}, or "
        "with {'BACKEND': 'django_smsww.backends.console.SMSBackend'} for development."
    )
    return [Warning("SMSWW has no alias 'default'.", hint=hint, id="smsww.W006")]


def check_task_queue(**kwargs: Any) -> Messages:
    """E021: the task queue that `queue` names can be called."""
    return [
        Error(f"SMSWW[{alias!r}]: OPTIONS['queue'] {problem}.", hint=hint, id="smsww.E021")
        for alias, backend in backends()
        if isinstance(backend.queue, str)
        for problem, hint in _task_queue_problems(backend.queue)
    ]


def _task_queue_problems(path: str) -> Iterator[tuple[str, str]]:
    app = path.removesuffix(".tasks.enqueue")
    if path.startswith(CONTRIB) and not apps.is_installed(app):
        hint = f"Add {app!r} to INSTALLED_APPS: its workers look for their tasks there."
        yield f"is a task queue of {app}, which is not installed", hint
        return
    hint = f"Write True, or the path of a function such as '{CONTRIB}tasks.tasks.enqueue'."
    try:
        function = import_string(path)
    except (ImportError, ImproperlyConfigured) as error:
        yield f"cannot be imported: {error}", hint
        return
    if not callable(function):
        yield "is not a function", hint


def _can_be_listed() -> bool:
    return not _problem() and not isinstance(sms_backends.settings, ResolvedSettings)


def aliases() -> list[str]:
    return list(sms_backends) if _can_be_listed() else []


def backends() -> Iterator[tuple[str, BaseSMSBackend]]:
    for alias in aliases():
        if not _problem(alias):
            yield alias, sms_backends[alias]


def outward_backends() -> Iterator[tuple[str, BaseSMSBackend]]:
    return (pair for pair in backends() if pair[1].delivers_on_commit)


def _problem(alias: str | None = None) -> InvalidSMSBackend | None:
    """Return the error of this alias, or of the whole setting."""
    try:
        _ = sms_backends.settings if alias is None else sms_backends[alias]
    except InvalidSMSBackend as error:
        return error
    return None


def options_of(alias: str) -> Mapping[str, Any]:
    return sms_backends.settings[alias].get("OPTIONS", {})


def _lacks_token(alias: str) -> bool:
    try:
        backend = sms_backends.settings[alias].get("BACKEND", DEFAULT_BACKEND)
        if backend != DEFAULT_BACKEND or options_of(alias).get("token"):
            return False
    except AttributeError:  # the entry is no dict, which E001 reports
        return False
    return _problem(alias) is not None  # in a test run an alias needs no token


def is_this_machine(url: str) -> bool:
    from ..gateway.network import is_loopback  # loads requests, which not every process needs

    return is_loopback(urlsplit(url).hostname or "")
