"""The network between this machine and the gateway: proxies, certificates, and the HTTP library."""

import os
import ssl
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

import urllib3
from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_environ_proxies, select_proxy

_PRIVATE_DOMAINS = (".localhost", ".local", ".internal", ".home.arpa", ".lan", ".test", ".invalid")
_FUTURE_PATCH = 900
"""With at least this patch number, the installed `urllib3` is in fact its fork urllib3-future."""


@lru_cache(maxsize=256)
def is_loopback(name: str) -> bool:
    """Whether this host name or IP address always means this machine."""
    name = name.rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def is_private(name: str) -> bool:
    """Whether this host can be reached only from this machine or from a private network."""
    try:
        return not ip_address(name).is_global
    except ValueError:
        name = name.rstrip(".")
        return "." not in name or name.endswith(_PRIVATE_DOMAINS)


def proxies_for(url: str) -> dict[str, str]:
    """Return {scheme: proxy URL} from the environment variables; {} for a host on this machine."""
    return {} if is_loopback(urlsplit(url).hostname or "") else get_environ_proxies(url)


@lru_cache(maxsize=256)
def check_network(url: str) -> None:
    """Raise ValueError if urllib3-future is installed, or if the URL needs a SOCKS proxy.

    A URL that passes is not checked again: the check takes 0.1 ms, because it reads all environment
    variables.
    """
    patch = urllib3.__version__.rpartition(".")[2]
    if patch.isdecimal() and int(patch) >= _FUTURE_PATCH:
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
    """Return a TLS context that trusts the configured CA certificates.

    Use the file or folder in the first variable that is set: REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE,
    SSL_CERT_FILE, SSL_CERT_DIR. If none of these is set, use the CA bundle of `requests`.
    """
    names = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
    path = next(filter(None, map(os.environ.get, names)), "")
    folders = path if os.path.isdir(path) else os.environ.get("SSL_CERT_DIR", "")
    if folders and path in ("", folders):
        return ssl.create_default_context(capath=folders)  # OpenSSL reads a list of them
    return ssl.create_default_context(cafile=path or DEFAULT_CA_BUNDLE_PATH)
