"""The rule of every setting: its type and range, one entry per field in `RULES`.

A rule is a function of the field's name and value that returns nothing or raises. No rule does I/O, except that file
settings are looked up on the disk. Rules that need two fields are in `check_pairs`.
"""

from __future__ import annotations

import ipaddress
import math
import os
import re
import ssl
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from .constants import (
    ALPN_H3,
    MAX_DATAGRAM_SIZE,
    MAX_PROTOCOL_STREAMS_LIMIT,
    MAX_SUBPROTOCOL_BYTES,
    MAX_VARINT,
    SUPPORTED_ADDRESS_VALIDATION,
    SUPPORTED_CONGESTION_CONTROL_ALGORITHMS,
)
from .exceptions import certificate_not_found, invalid_config

__all__ = ["FILES", "LOG_LEVELS", "RULES", "Rule", "check_pairs", "normalized_origin"]

Rule: TypeAlias = Callable[[str, Any], None]

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

_USUAL_ALPN = [ALPN_H3]
_MAX_PORT = 65535
_MIN_UDP_PAYLOAD = 1200  # what every path of QUIC takes: RFC 9000, section 14
_MAX_UDP_PAYLOAD = 16383  # the length of a frame that fits is a varint of two bytes
_MAX_ALPN_BYTES = 255  # a protocol name has a one-byte length: RFC 7301, section 3.1
_FIELD_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # token: RFC 9110, section 5.6.2
_FIELD_VALUE_FORBIDDEN = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # control characters but tab: RFC 9110, section 5.5
_SUBPROTOCOL = re.compile(r"[\x20-\x7e]+")  # characters of a structured-field String: RFC 9651, section 3.3.3
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://(\[[0-9a-f:.]+\]|[a-z0-9._~%-]+)(?::([0-9]{1,5}))?")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def normalized_origin(text: str) -> str | None:
    """Return the one form in which equal origins are equal strings, or None for what is no origin.

    Source: RFC 6454, sections 4 (scheme, host and port, in lower case), 5 (equality) and 6.2 (serialization).
    """
    if text == "null":
        return text
    match = _ORIGIN.fullmatch(text.lower()) if text.isascii() else None
    if match is None:
        return None
    scheme, host, port = match.groups()
    if host.startswith("["):
        try:
            host = f"[{ipaddress.IPv6Address(host[1:-1])}]"
        except ValueError:
            return None
    if port is None or int(port) == _DEFAULT_PORTS.get(scheme):
        return f"{scheme}://{host}"
    return f"{scheme}://{host}:{int(port)}" if int(port) <= _MAX_PORT else None


def _boolean(key: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise invalid_config(key=key, value=value, reason=f"must be True or False, not {value!r}")


def _integer(minimum: int | None = None, maximum: int | None = None) -> Rule:
    def check(key: str, value: Any) -> None:
        # bool is an int to Python, but max_sessions=True is a slip.
        if not isinstance(value, int) or isinstance(value, bool):
            raise invalid_config(key=key, value=value, reason=f"must be an integer, not {value!r}")
        if (minimum is not None and value < minimum) or (maximum is not None and value > maximum):
            allowed = f"at least {minimum}" if maximum is None else f"between {minimum} and {maximum}"
            raise invalid_config(key=key, value=value, reason=f"must be {allowed}, not {value}")

    return check


def _number(key: str, value: Any) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise invalid_config(key=key, value=value, reason=f"must be a finite number, not {value!r}")


def _positive_seconds(key: str, value: Any) -> None:
    _number(key, value)
    if value <= 0:
        raise invalid_config(key=key, value=value, reason=f"must be more than 0 seconds, not {value!r}")


def _optional_seconds(key: str, value: Any) -> None:
    if value is not None:
        _positive_seconds(key, value)


def _backoff_factor(key: str, value: Any) -> None:
    _number(key, value)
    if value < 1:
        raise invalid_config(
            key=key, value=value, reason=f"must be at least 1, so that delays never shrink, not {value}"
        )


def _one_of(choices: tuple[str, ...]) -> Rule:
    def check(key: str, value: Any) -> None:
        if value not in choices:
            raise invalid_config(key=key, value=value, reason=f"must be one of {', '.join(choices)}, not {value!r}")

    return check


def _log_level(key: str, value: Any) -> None:
    if not isinstance(value, str) or value.upper() not in LOG_LEVELS:
        raise invalid_config(key=key, value=value, reason=f"must be one of {', '.join(LOG_LEVELS)}, not {value!r}")


def _text(key: str, value: Any) -> None:
    if not isinstance(value, str):
        raise invalid_config(key=key, value=value, reason=f"must be a string, not {value!r}")


def _host(key: str, value: Any) -> None:
    _text(key, value)
    if not value or value != value.strip():
        raise invalid_config(key=key, value=value, reason=f"must be a host name or an address, not {value!r}")


def _strings(key: str, value: Any) -> None:
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise invalid_config(key=key, value=value, reason=f"must be a list of strings, not {value!r}")


def _alpn_protocols(key: str, value: Any) -> None:
    if value == _USUAL_ALPN:
        return
    _strings(key, value)
    for item in value:
        if not item.isascii() or not 1 <= len(item) <= _MAX_ALPN_BYTES:
            raise invalid_config(
                key=key, value=value, reason=f"{item!r} is not 1 to {_MAX_ALPN_BYTES} ASCII characters"
            )
    if ALPN_H3 not in value:
        raise invalid_config(key=key, value=value, reason=f"must contain {ALPN_H3!r}: WebTransport runs over HTTP/3")


def _subprotocols(key: str, value: Any) -> None:
    if value == []:
        return
    _strings(key, value)
    for item in value:
        if not _SUBPROTOCOL.fullmatch(item) or len(item) > MAX_SUBPROTOCOL_BYTES:
            reason = f"{item!r} is not 1 to {MAX_SUBPROTOCOL_BYTES} printable ASCII characters"
            raise invalid_config(key=key, value=value, reason=reason)
    if len(set(value)) != len(value):
        raise invalid_config(key=key, value=value, reason="must not name a protocol twice")


def _origins(key: str, value: Any) -> None:
    if value is None:
        return
    _strings(key, value)
    for item in value:
        if normalized_origin(item) is None:
            reason = f'{item!r} is no origin: it must be like "https://example.com" or "https://example.com:8443"'
            raise invalid_config(key=key, value=value, reason=reason)


def _field_value(key: str, value: Any) -> None:
    _text(key, value)
    if _FIELD_VALUE_FORBIDDEN.search(value):
        raise invalid_config(key=key, value=value, reason="must not contain control characters")


def _headers(key: str, value: Any) -> None:
    if not isinstance(value, Mapping):
        raise invalid_config(key=key, value=value, reason=f"must be a dict of strings, not {value!r}")
    for name, content in value.items():
        if not isinstance(name, str) or not isinstance(content, str):
            raise invalid_config(key=key, value=value, reason=f"header {name!r} and its value must be strings")
        if not _FIELD_NAME.fullmatch(name):
            raise invalid_config(key=key, value=value, reason=f"{name!r} is not a header name")
        if _FIELD_VALUE_FORBIDDEN.search(content):
            raise invalid_config(key=key, value=value, reason=f"header {name!r} must not contain control characters")


def _file(key: str, value: Any) -> None:
    """Accept None and "" for "none", else the path of a file that exists."""
    if value is None or value == "":
        return
    if not isinstance(value, str):
        raise invalid_config(key=key, value=value, reason=f"must be a path as a string, not {value!r}")
    if not os.path.isfile(value):
        raise certificate_not_found(path=value)


def _verify_mode(key: str, value: Any) -> None:
    if not isinstance(value, ssl.VerifyMode):
        raise invalid_config(
            key=key, value=value, reason=f"must be an ssl.VerifyMode such as ssl.CERT_NONE, not {value!r}"
        )


def _optional_verify_mode(key: str, value: Any) -> None:
    if value is not None:
        _verify_mode(key, value)


def _middleware(key: str, value: Any) -> None:
    if not isinstance(value, list | tuple):
        raise invalid_config(key=key, value=value, reason=f"must be a list of callables, not {value!r}")
    for item in value:
        if not callable(item):
            raise invalid_config(key=key, value=value, reason=f"{item!r} is not callable")


_COUNT = _integer(1)
_STREAM_COUNT = _integer(0, MAX_PROTOCOL_STREAMS_LIMIT)

_COMMON_RULES: dict[str, Rule] = {
    "alpn_protocols": _alpn_protocols,
    "ca_certs": _file,
    "certfile": _file,
    "close_timeout": _positive_seconds,
    "congestion_control_algorithm": _one_of(SUPPORTED_CONGESTION_CONTROL_ALGORITHMS),
    "connection_idle_timeout": _positive_seconds,
    "connection_keepalive_timeout": _positive_seconds,
    "debug": _boolean,
    "flow_control_window_auto_scale": _boolean,
    "flow_control_window_size": _integer(1, MAX_VARINT),
    "initial_max_data": _integer(0, MAX_VARINT),
    "initial_max_streams_bidi": _STREAM_COUNT,
    "initial_max_streams_uni": _STREAM_COUNT,
    "keep_alive": _boolean,
    "keyfile": _file,
    "log_level": _log_level,
    "max_connections": _COUNT,
    "max_datagram_size": _integer(1, MAX_DATAGRAM_SIZE),
    "max_message_size": _COUNT,
    "max_pending_events_per_session": _COUNT,
    "max_sessions": _integer(1, MAX_VARINT),
    "max_stream_read_buffer": _COUNT,
    "max_stream_write_buffer": _COUNT,
    "max_total_pending_events": _COUNT,
    "max_udp_payload_size": _integer(_MIN_UDP_PAYLOAD, _MAX_UDP_PAYLOAD),
    "pending_event_ttl": _positive_seconds,
    "pubsub_subscription_queue_size": _COUNT,
    "read_timeout": _optional_seconds,
    "resource_cleanup_interval": _positive_seconds,
    "rpc_concurrency_limit": _COUNT,
    "stream_creation_timeout": _positive_seconds,
    "stream_flow_control_increment_bidi": _integer(1, MAX_PROTOCOL_STREAMS_LIMIT),
    "stream_flow_control_increment_uni": _integer(1, MAX_PROTOCOL_STREAMS_LIMIT),
    "strict": _boolean,
    "write_timeout": _optional_seconds,
    "wt_available_protocols": _subprotocols,
}

RULES: dict[str, dict[str, Rule]] = {
    "ClientConfig": {
        **_COMMON_RULES,
        "auto_reconnect": _boolean,
        "connect_timeout": _positive_seconds,
        "connection_attempt_delay": _positive_seconds,
        "headers": _headers,
        "max_retries": _integer(),
        "max_retry_delay": _positive_seconds,
        "retry_backoff": _backoff_factor,
        "retry_delay": _positive_seconds,
        "user_agent": _field_value,
        "verify_mode": _optional_verify_mode,
    },
    "ServerConfig": {
        **_COMMON_RULES,
        "access_log": _boolean,
        "address_validation": _one_of(SUPPORTED_ADDRESS_VALIDATION),
        "address_validation_threshold": _COUNT,
        "allowed_origins": _origins,
        "bind_host": _host,
        "bind_port": _integer(0, _MAX_PORT),
        "handshake_timeout": _positive_seconds,
        "max_connection_attempts_per_address": _COUNT,
        "max_handshakes_per_address": _COUNT,
        "max_unfinished_handshakes": _COUNT,
        "middleware": _middleware,
        "stateless_reset": _boolean,
        "verify_mode": _verify_mode,
    },
}

FILES = frozenset({"ca_certs", "certfile", "keyfile"})
"""Settings that name a file, which may come and go."""


def check_pairs(*, certfile: str | None, keyfile: str | None) -> None:
    """Raise ConfigurationError when one of certificate and key is named without the other."""
    if certfile and not keyfile:
        raise invalid_config(key="keyfile", value=keyfile, reason="is required when certfile is set")
    if keyfile and not certfile:
        raise invalid_config(key="certfile", value=certfile, reason="is required when keyfile is set")
