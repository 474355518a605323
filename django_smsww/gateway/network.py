"""The way from this machine to the gateway: proxies, certificates, and the HTTP library."""

from __future__ import annotations

import os
import ssl
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

import urllib3
from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_environ_proxies, select_proxy

_PRIVATE_DOMAINS = (".localhost", ".local", ".internal", ".home.arpa", ".lan", ".test", ".invalid")
_FUTURE_PATCH = 900
"""The patch releases of urllib3-future have numbers from here on."""


@lru_cache(maxsize=256)
def is_loopback(name: str) -> bool:
    """Tell whether this host name can only be this machine."""
    name = name.rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def is_private(name: str) -> bool:
    """Tell whether only this machine or a private network can reach this host name."""
    try:
        return not ip_address(name).is_global
    except ValueError:
        name = name.rstrip(".")
        return "." not in name or name.endswith(_PRIVATE_DOMAINS)


def proxies_for(url: str) -> dict[str, str]:
    """Return the environment's proxies by scheme; to this machine no proxy is used."""
    return {} if is_loopback(urlsplit(url).hostname or "") else get_environ_proxies(url)


def check_network(url: str) -> None:
    """Raise ValueError if the HTTP library or a proxy lets no request reach this host."""
    if _is_future(urllib3.__version__):
        raise ValueError(
            "urllib3-future stands in the place of urllib3, and does not send headers as they "
            "are (niquests installs it). Run pip uninstall urllib3-future niquests, and then "
            "pip install --force-reinstall urllib3."
        )
    if is_socks(select_proxy(url, proxies_for(url)) or ""):
        raise ValueError(
            "SOCKS proxies are not supported. Use an HTTP proxy, or add the host to NO_PROXY."
        )


def is_socks(proxy: str) -> bool:
    return proxy.lower().startswith("socks")


def create_context() -> ssl.SSLContext:
    """Return a verifying context that trusts the environment's bundle, or that of requests."""
    names = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
    path = next(filter(None, map(os.environ.get, names)), "")
    folders = path if os.path.isdir(path) else os.environ.get("SSL_CERT_DIR", "")
    if folders and path in ("", folders):
        return ssl.create_default_context(capath=folders)  # OpenSSL reads a list of them
    return ssl.create_default_context(cafile=path or DEFAULT_CA_BUNDLE_PATH)


def _is_future(version: str) -> bool:
    patch = version.rpartition(".")[2]
    return patch.isdecimal() and int(patch) >= _FUTURE_PATCH
