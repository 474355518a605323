from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.core.checks import Error, Warning, register  # noqa: A004
from django.core.exceptions import ImproperlyConfigured
from django.urls import Resolver404, resolve
from django.utils import translation

from .aliases import TAG, Messages, is_this_machine, options_of, outward_backends


@register(TAG)
def check_callback_https(**kwargs: Any) -> Messages:
    """E004: report a callback URL without https, unless its host is this machine."""
    return [
        Error(
            f"SMSWW[{alias!r}]: OPTIONS['callback_url'] must start with https://.",
            hint="Callbacks contain numbers, texts and a signature, which nobody else may read.",
            id="smsww.E004",
        )
        for alias, url in _callback_urls()
        if url and urlsplit(url).scheme != "https" and not is_this_machine(url)
    ]


@register(TAG)
def check_callback_url(**kwargs: Any) -> Messages:
    """W001: warn if an alias has no callback URL."""
    return [
        Warning(
            f"SMSWW[{alias!r}]: OPTIONS do not define 'callback_url'.",
            hint="Without callbacks a message stays NEW (accepted) until smsww_sync asks the "
            "gateway about it. Give the public URL of the view: https://example.com/sms/callback/.",
            id="smsww.W001",
        )
        for alias, url in _callback_urls()
        if not url
    ]


@register(TAG)
def check_callback_view(**kwargs: Any) -> Messages:
    """W002: warn if the path of the callback URL is not a path of our callback view."""
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


@register(TAG, deploy=True)
def check_callback_public(**kwargs: Any) -> Messages:
    """W007 (deploy): warn if the callback URL is not https, or if its host is not public."""
    return [
        Warning(
            f"SMSWW[{alias!r}]: the gateway cannot reach OPTIONS['callback_url'].",
            hint="The URL leads to this machine or into a private network, or it is not https. "
            "Give the public URL of the view: https://example.com/sms/callback/.",
            id="smsww.W007",
        )
        for alias, url in _callback_urls()
        if url and _is_gateway(alias) and not _is_public(url)
    ]


def _callback_urls() -> Iterator[tuple[str, str]]:
    for alias, backend in outward_backends():
        if hasattr(backend, "callback_url"):
            yield alias, backend.callback_url or ""


def _is_gateway(alias: str) -> bool:
    from ..gateway.host import NAMED_HOSTS  # loads requests, which not every process needs

    host = str(options_of(alias).get("host", "production")).strip().rstrip("/")
    return host in {*NAMED_HOSTS, *NAMED_HOSTS.values()}


def _is_public(url: str) -> bool:
    from ..gateway.network import is_private  # loads requests, too

    parts = urlsplit(url)
    return parts.scheme == "https" and not is_private(parts.hostname or "")


def _leads_to_view(url: str) -> bool:
    path = urlsplit(url).path or "/"
    # The server may serve the site below a prefix (SCRIPT_NAME), which no setting names.
    ends = [path[start:] for start, sign in enumerate(path) if sign == "/"]
    try:
        return any(map(_is_path_of_view, ends))
    except (ImportError, ImproperlyConfigured, AttributeError):
        return True  # the URLconf cannot be read, which Django's own checks report


def _is_path_of_view(path: str) -> bool:
    try:
        # Under i18n_patterns() a path resolves only in its own language. None: the default one.
        with translation.override(translation.get_language_from_path(path)):
            view = resolve(path).func
    except Resolver404:
        return False
    return bool(getattr(getattr(view, "view_class", view), "smsww_callback", False))
