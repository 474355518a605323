from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from django.apps import apps
from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from ..backends.base import BaseSMSBackend
from ..backends.handler import DEFAULT_ALIAS, DEFAULT_BACKEND, ResolvedSettings, sms_backends
from ..backends.local import LocalSMSBackend
from ..backends.validation import SENDER_RULE, is_sender
from ..exceptions import InvalidSMSBackend

TAG = "sms"
CONTRIB = "django_smsww.contrib."

Messages = list[CheckMessage]


@register(TAG)
def check_aliases(**kwargs: Any) -> Messages:
    """E001: report an invalid setting SMSWW, or an alias whose backend cannot be built."""
    problems = [_problem(alias) for alias in aliases() if not _lacks_token(alias)]
    hint = "Correct the setting SMSWW. Until then, nothing can be sent with this alias."
    return [
        Error(str(problem), hint=hint, id="smsww.E001")
        for problem in [_problem(), *problems]
        if problem
    ]


@register(TAG)
def check_token(**kwargs: Any) -> Messages:
    """E002: report an alias that uses the openapi backend and has no token."""
    return [
        Error(
            f"SMSWW[{alias!r}]: OPTIONS must define 'token'.",
            hint="Read it from the environment. A sandbox token does not work in production.",
            id="smsww.E002",
        )
        for alias in aliases()
        if _lacks_token(alias)
    ]


@register(TAG)
def check_sender(**kwargs: Any) -> Messages:
    """E003: report an option `sender` that the gateway does not accept."""
    return [
        Error(
            f"SMSWW[{alias!r}]: OPTIONS['sender'] is not a sender that the gateway accepts.",
            hint=f"Write {SENDER_RULE}; or leave it out, and the gateway's own name appears.",
            id="smsww.E003",
        )
        for alias, backend in backends()
        if not is_sender(backend.sender)
    ]


@register(TAG, deploy=True)
def check_development_backend(**kwargs: Any) -> Messages:
    """W003 (deploy): warn about a backend for development, which sends no real messages."""
    return [
        Warning(
            f"SMSWW[{alias!r}]: {type(backend).__module__} is a backend for development.",
            hint=f"Nothing reaches a telephone. Use {DEFAULT_BACKEND!r}.",
            id="smsww.W003",
        )
        for alias, backend in backends()
        if isinstance(backend, LocalSMSBackend)
    ]


@register(TAG, deploy=True)
def check_host(**kwargs: Any) -> Messages:
    """W004 (deploy): warn if messages go to a simulator of the gateway on this machine."""
    return [
        Warning(
            f"SMSWW[{alias!r}]: OPTIONS['host'] is this machine, so messages go to a simulator.",
            hint="Nothing reaches a telephone. Leave 'host' out, or write 'production'; in a URL: "
            "openapi://TOKEN@production.",
            id="smsww.W004",
        )
        for alias, _ in outward_backends()
        if is_this_machine(str(options_of(alias).get("host", "")))
    ]


@register(TAG, deploy=True)
def check_staging(**kwargs: Any) -> Messages:
    """W008 (deploy): warn if `redirect_to` or `allowed_recipients` limits who gets messages."""
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


@register(TAG)
def check_environment(**kwargs: Any) -> Messages:
    """W005: warn if an alias has no `environment`, the name that marks a deployment's rows."""
    return [
        Warning(
            f"SMSWW[{alias!r}]: OPTIONS define neither 'environment' nor 'callback_url', whose "
            f"host is the default of 'environment'.",
            hint="Give OPTIONS an 'environment' such as 'production'. Then a copy of this "
            "database on a staging machine does not send the messages that wait here.",
            id="smsww.W005",
        )
        for alias, backend in outward_backends()
        if not backend.environment
    ]


@register(TAG)
def check_default(**kwargs: Any) -> Messages:
    """W006: warn if SMSWW has no alias "default". Calls without `using` need this alias."""
    if not _can_be_listed() or DEFAULT_ALIAS in sms_backends:
        return []
    hint = (
        "Calls without an alias fail. Define SMSWW = {'default': {'OPTIONS': {'token': …}}}, or "
        "with {'BACKEND': 'django_smsww.backends.console.SMSBackend'} for development."
    )
    return [Warning("SMSWW has no alias 'default'.", hint=hint, id="smsww.W006")]


@register(TAG)
def check_task_queue(**kwargs: Any) -> Messages:
    """E021: report a `queue` if its function is missing, or the function's app is not installed."""
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
    """Return the error in this alias, or None. If `alias` is None, check the setting SMSWW."""
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
