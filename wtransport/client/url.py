"""URLs of WebTransport servers: taking them apart and putting an authority together.

Source: RFC 3986, draft-ietf-webtrans-http3, section 3 (https scheme, extended CONNECT).
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from urllib.parse import quote, urlsplit

from ..constants import DEFAULT_SECURE_PORT
from ..exceptions import invalid_config
from ..types import URL, URLParts

__all__ = ["format_authority", "parse_url"]

_UNSAFE = re.compile(r"[\x00-\x20\x7f\ud800-\udfff]")
"""Characters that must never reach a request: `urlsplit` drops some of them silently, so they are refused first. Lone
surrogates cannot be written in UTF-8, which a path is escaped from."""

_PATH_SAFE = "/:@!$&'()*+,;=~-._%"
"""What stays as it is in a path (RFC 3986, 3.3); `%` too, because the caller may have escaped already."""

_MAX_HOST_LENGTH = 253
"""Longest DNS name in characters (RFC 1035, 2.3.4)."""


def parse_url(*, url: URL) -> URLParts:
    """Take an https URL apart.

    Args:
        url: absolute URL. The port defaults to 443, the path to ``/``; the query is kept, the fragment is not sent.

    Returns:
        ``(host, port, path)``: the host without brackets and, when it is a name, in its ASCII (IDNA) form; the path
        with its query, ready for ``:path``.

    Raises:
        ConfigurationError: the URL is not one that WebTransport can use; its ``config_key`` is ``url``.

    """
    if not isinstance(url, str):
        raise invalid_config(key="url", value=url, reason="must be a string")
    return _parts(url)


@lru_cache(maxsize=128)
def _parts(url: str) -> URLParts:
    if _UNSAFE.search(url):
        raise invalid_config(key="url", value=url, reason="must not contain spaces, controls or lone surrogates")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = parts.hostname
    except ValueError as error:
        raise invalid_config(key="url", value=url, reason=str(error)) from error
    if parts.scheme != "https":
        raise invalid_config(key="url", value=url, reason="scheme must be https")
    if not host:
        raise invalid_config(key="url", value=url, reason="host is missing")
    if parts.username is not None or parts.password is not None:
        shown = url.replace(parts.netloc.rpartition("@")[0], "***", 1)  # a password has no place in a log
        raise invalid_config(key="url", value=shown, reason="must not contain a user name or password")
    if port == 0:
        raise invalid_config(key="url", value=url, reason="port must be between 1 and 65535")
    try:
        host = _ascii_host(host)
    except ValueError as error:
        raise invalid_config(key="url", value=url, reason=f"host is not valid: {error}") from error
    path = quote(parts.path, safe=_PATH_SAFE) or "/"
    if parts.query or url.partition("#")[0].endswith("?"):
        path += "?" + quote(parts.query, safe=_PATH_SAFE + "?")
    return host, DEFAULT_SECURE_PORT if port is None else port, path


def format_authority(*, host: str, port: int) -> str:
    """Return the ``:authority`` of a host and port: IPv6 literals in brackets, the default port left out."""
    name = f"[{host}]" if ":" in host else host
    return name if port == DEFAULT_SECURE_PORT else f"{name}:{port}"


def _ascii_host(host: str) -> str:
    if ":" in host:
        return str(ipaddress.IPv6Address(host))
    if not host.isascii():
        host = host.encode("idna").decode("ascii")
    if len(host) > _MAX_HOST_LENGTH:
        raise ValueError(f"longer than {_MAX_HOST_LENGTH} characters")
    if not re.fullmatch(r"[A-Za-z0-9._-]+", host):
        raise ValueError("characters outside letters, digits, '-', '_' and '.'")
    return host
