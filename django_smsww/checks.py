"""The system checks of the SMSWW setting.

None asks the network. Two ask the database, and run only with `check --database default`. Aliases
of a resolver are not checked, since its answers may come from the database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.apps import apps
from django.core import checks
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connections, router, transaction
from django.urls import Resolver404, resolve
from django.utils import timezone, translation
from django.utils.module_loading import import_string

from .backends.base import BaseSMSBackend
from .backends.handler import DEFAULT_ALIAS, DEFAULT_BACKEND, ResolvedSettings, sms_backends
from .backends.local import LocalSMSBackend
from .backends.validation import SENDER_RULE, is_sender
from .exceptions import InvalidSMSBackend
from .models import Heartbeat, Message

TAG = "sms"
CONTRIB = "django_smsww.contrib."

Messages = list[CheckMessage]


def check_aliases(**kwargs: Any) -> Messages:
    """E001: every alias can be built."""
    problems = [_problem(alias) for alias in _aliases() if not _lacks_token(alias)]
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
        for alias in _aliases()
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
        for alias, backend in _backends()
        if not is_sender(backend.sender)
    ]


def check_callback_https(**kwargs: Any) -> Messages:
    """E004: callbacks come by https, or from this machine."""
    return [
        Error(
            f"SMSWW[{alias!r}]: OPTIONS['callback_url'] must start with https://.",
            hint="Callbacks hold numbers, texts and the signature that makes them authentic.",
            id="smsww.E004",
        )
        for alias, url in _callback_urls()
        if url and urlsplit(url).scheme != "https" and not _is_this_machine(url)
    ]


def check_callback_url(**kwargs: Any) -> Messages:
    """W001: there is a callback URL."""
    return [
        Warning(
            f"SMSWW[{alias!r}]: OPTIONS do not define 'callback_url'.",
            hint="Without callbacks a message stays at NEW (accepted) until it is looked up. Give "
            "the public URL of the view: https://example.com/sms/callback/.",
            id="smsww.W001",
        )
        for alias, url in _callback_urls()
        if not url
    ]


def check_callback_view(**kwargs: Any) -> Messages:
    """W002: the path of the callback URL leads to our view."""
    return [
        Warning(
            f"SMSWW[{alias!r}]: the path of OPTIONS['callback_url'] does not lead to the "
            "callback view.",
            hint='Add path("sms/", include("django_smsww.urls")) to the URLconf, or correct the '
            "path. If another service receives the callbacks, silence this check.",
            id="smsww.W002",
        )
        for alias, url in _callback_urls()
        if url and not _leads_to_view(url)
    ]


def check_development_backend(**kwargs: Any) -> Messages:
    """W003 (deploy): messages reach telephones."""
    return [
        Warning(
            f"SMSWW[{alias!r}]: {type(backend).__module__} is a backend for development.",
            hint=f"Nothing reaches a telephone. Use {DEFAULT_BACKEND!r}.",
            id="smsww.W003",
        )
        for alias, backend in _backends()
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
        for alias, _ in _outward_backends()
        if _is_this_machine(str(_options(alias).get("host", "")))
    ]


def check_callback_public(**kwargs: Any) -> Messages:
    """W007 (deploy): the gateway can reach the callback URL."""
    return [
        Warning(
            f"SMSWW[{alias!r}]: the gateway cannot reach OPTIONS['callback_url'].",
            hint="It leads to this machine or into a private network, or is not https. Give the "
            "public URL of the view: https://example.com/sms/callback/.",
            id="smsww.W007",
        )
        for alias, url in _callback_urls()
        if url and _is_gateway(alias) and not _is_public(url)
    ]


def check_environment(**kwargs: Any) -> Messages:
    """W005: rows name their deployment."""
    return [
        Warning(
            f"SMSWW[{alias!r}]: no environment can be derived, for there is no 'callback_url'.",
            hint="Give OPTIONS an 'environment' such as 'production': it keeps a copy of this "
            "database, on a staging machine, from sending what waits here.",
            id="smsww.W005",
        )
        for alias, backend in _outward_backends()
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
        for alias, backend in _backends()
        if isinstance(backend.queue, str)
        for problem, hint in _task_queue_problems(backend.queue)
    ]


def check_sweeper(databases: Sequence[str] | None = None, **kwargs: Any) -> Messages:
    """W010 (database): a worker sends the queued messages."""
    using = router.db_for_read(Message)
    if using not in (databases or ()):
        return []
    return [
        Warning(
            f"SMSWW[{alias!r}]: messages have been waiting for more than 10 minutes, and nothing "
            "has swept the queue for an hour.",
            hint="Run `manage.py smsww_worker` as a service, or with --once from cron.",
            id="smsww.W010",
        )
        for alias, backend in _backends()
        if _waits_in_vain(backend, using)
    ]


def check_time_zones(databases: Sequence[str] | None = None, **kwargs: Any) -> Messages:
    """W011 (database): the database knows the project's time zone."""
    using = router.db_for_write(Message)
    if using not in (databases or ()) or _knows_time_zones(using):
        return []
    return [
        Warning(
            f"The database {using!r} does not know the time zone "
            f"{timezone.get_default_timezone_name()!r}, so it can sum up no day: pruning fails, "
            "and statistics lack days.",
            hint="Load the time zones: mariadb-tzinfo-to-sql /usr/share/zoneinfo | mariadb mysql "
            "(with MySQL: mysql_tzinfo_to_sql, and mysql).",
            id="smsww.W011",
        )
    ]


ALWAYS: tuple[Callable[..., Messages], ...] = (
    check_aliases,
    check_token,
    check_sender,
    check_callback_https,
    check_callback_url,
    check_callback_view,
    check_environment,
    check_default,
    check_task_queue,
)
ON_DEPLOY: tuple[Callable[..., Messages], ...] = (
    check_development_backend,
    check_host,
    check_callback_public,
)


def register_all() -> None:
    """Register the checks; those under `--deploy` speak of production alone."""
    for check in ALWAYS:
        checks.register(check, TAG)
    for check in ON_DEPLOY:
        checks.register(check, TAG, deploy=True)
    checks.register(check_sweeper, checks.Tags.database)
    checks.register(check_time_zones, checks.Tags.database)


def _knows_time_zones(using: str) -> bool:
    connection, name = connections[using], timezone.get_default_timezone_name()
    if connection.vendor != "mysql" or name == connection.timezone_name:
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT CONVERT_TZ('2000-01-01', 'UTC', %s) IS NOT NULL", [name])
        return bool(cursor.fetchone()[0])


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


def _waits_in_vain(backend: BaseSMSBackend, using: str) -> bool:
    now = timezone.now()
    waiting = Message.objects.using(using).due(now - timedelta(minutes=10))
    sweeps = Heartbeat.objects.using(using).filter(
        environment=backend.environment,
        name=f"sweep:{backend.alias}",
        beat_at__gt=now - timedelta(hours=1),
    )
    try:
        with transaction.atomic(using=using):
            rows = waiting.of(backend.alias, backend.environment)
            return rows.exists() and not sweeps.exists()
    except DatabaseError:  # before the first migration there are no tables
        return False


def _can_be_listed() -> bool:
    return not _problem() and not isinstance(sms_backends.settings, ResolvedSettings)


def _aliases() -> list[str]:
    return list(sms_backends) if _can_be_listed() else []


def _backends() -> Iterator[tuple[str, BaseSMSBackend]]:
    for alias in _aliases():
        if not _problem(alias):
            yield alias, sms_backends[alias]


def _outward_backends() -> Iterator[tuple[str, BaseSMSBackend]]:
    return (pair for pair in _backends() if pair[1].delivers_on_commit)


def _callback_urls() -> Iterator[tuple[str, str]]:
    for alias, backend in _outward_backends():
        if hasattr(backend, "callback_url"):
            yield alias, backend.callback_url or ""


def _problem(alias: str | None = None) -> InvalidSMSBackend | None:
    """Return the error of this alias, or of the whole setting."""
    try:
        _ = sms_backends.settings if alias is None else sms_backends[alias]
    except InvalidSMSBackend as error:
        return error
    return None


def _options(alias: str) -> Mapping[str, Any]:
    return sms_backends.settings[alias].get("OPTIONS", {})


def _lacks_token(alias: str) -> bool:
    try:
        backend = sms_backends.settings[alias].get("BACKEND", DEFAULT_BACKEND)
        if backend != DEFAULT_BACKEND or _options(alias).get("token"):
            return False
    except AttributeError:  # the entry is no dict, which E001 reports
        return False
    return _problem(alias) is not None  # in a test run an alias needs no token


def _is_this_machine(url: str) -> bool:
    from .gateway.network import is_loopback  # loads requests, which not every process needs

    return is_loopback(urlsplit(url).hostname or "")


def _is_gateway(alias: str) -> bool:
    return not _is_this_machine(str(_options(alias).get("host", "")))


def _is_public(url: str) -> bool:
    from .gateway.network import is_private  # loads requests, which not every process needs

    parts = urlsplit(url)
    return parts.scheme == "https" and not is_private(parts.hostname or "")


def _leads_to_view(url: str) -> bool:
    path = urlsplit(url).path or "/"
    # The server may serve the site below a prefix (SCRIPT_NAME) that only its requests tell.
    ends = [path[start:] for start, sign in enumerate(path) if sign == "/"]
    try:
        return any(map(_is_path_of_view, ends))
    except (ImportError, ImproperlyConfigured, AttributeError):
        return True  # the URLconf cannot be read, which Django's own checks report


def _is_path_of_view(path: str) -> bool:
    try:
        # Under i18n_patterns() a path is there in its own language alone; None is the default's.
        with translation.override(translation.get_language_from_path(path)):
            view = resolve(path).func
    except Resolver404:
        return False
    return bool(getattr(getattr(view, "view_class", view), "smsww_callback", False))
