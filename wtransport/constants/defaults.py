"""What a program gets when it does not say otherwise: the default of every setting in `config`.

Times are seconds, sizes are bytes. The values are those of the 0.9 API unless a comment says more.
"""

from __future__ import annotations

import ssl
from typing import Any, Final, TypedDict

from ..version import __version__
from .wire import ALPN_H3
from .wire import MAX_DATAGRAM_SIZE as _MAX_DATAGRAM_SIZE

__all__ = [
    "DEFAULT_ACCESS_LOG",
    "DEFAULT_ADDRESS_VALIDATION",
    "DEFAULT_ADDRESS_VALIDATION_THRESHOLD",
    "DEFAULT_ALPN_PROTOCOLS",
    "DEFAULT_AUTO_RECONNECT",
    "DEFAULT_BIND_HOST",
    "DEFAULT_CERTFILE",
    "DEFAULT_CLIENT_MAX_CONNECTIONS",
    "DEFAULT_CLIENT_MAX_SESSIONS",
    "DEFAULT_CLIENT_VERIFY_MODE",
    "DEFAULT_CLOSE_TIMEOUT",
    "DEFAULT_CONGESTION_CONTROL_ALGORITHM",
    "DEFAULT_CONNECTION_ATTEMPT_DELAY",
    "DEFAULT_CONNECTION_IDLE_TIMEOUT",
    "DEFAULT_CONNECTION_KEEPALIVE_TIMEOUT",
    "DEFAULT_CONNECT_TIMEOUT",
    "DEFAULT_DEBUG",
    "DEFAULT_DEV_PORT",
    "DEFAULT_FLOW_CONTROL_WINDOW_AUTO_SCALE",
    "DEFAULT_FLOW_CONTROL_WINDOW_SIZE",
    "DEFAULT_HANDSHAKE_TIMEOUT",
    "DEFAULT_INITIAL_MAX_DATA",
    "DEFAULT_INITIAL_MAX_STREAMS_BIDI",
    "DEFAULT_INITIAL_MAX_STREAMS_UNI",
    "DEFAULT_KEEP_ALIVE",
    "DEFAULT_KEYFILE",
    "DEFAULT_LOG_LEVEL",
    "DEFAULT_MAX_CONNECTION_ATTEMPTS_PER_ADDRESS",
    "DEFAULT_MAX_DATAGRAM_SIZE",
    "DEFAULT_MAX_HANDSHAKES_PER_ADDRESS",
    "DEFAULT_MAX_MESSAGE_SIZE",
    "DEFAULT_MAX_PENDING_EVENTS_PER_SESSION",
    "DEFAULT_MAX_RETRIES",
    "DEFAULT_MAX_RETRY_DELAY",
    "DEFAULT_MAX_STREAM_READ_BUFFER",
    "DEFAULT_MAX_STREAM_WRITE_BUFFER",
    "DEFAULT_MAX_TOTAL_PENDING_EVENTS",
    "DEFAULT_MAX_UDP_PAYLOAD_SIZE",
    "DEFAULT_MAX_UNFINISHED_HANDSHAKES",
    "DEFAULT_PENDING_EVENT_TTL",
    "DEFAULT_PUBSUB_SUBSCRIPTION_QUEUE_SIZE",
    "DEFAULT_READ_TIMEOUT",
    "DEFAULT_RESOURCE_CLEANUP_INTERVAL",
    "DEFAULT_RETRY_BACKOFF",
    "DEFAULT_RETRY_DELAY",
    "DEFAULT_RPC_CONCURRENCY_LIMIT",
    "DEFAULT_SECURE_PORT",
    "DEFAULT_SERVER_MAX_CONNECTIONS",
    "DEFAULT_SERVER_MAX_SESSIONS",
    "DEFAULT_SERVER_VERIFY_MODE",
    "DEFAULT_STATELESS_RESET",
    "DEFAULT_STREAM_CREATION_TIMEOUT",
    "DEFAULT_STREAM_FLOW_CONTROL_INCREMENT_BIDI",
    "DEFAULT_STREAM_FLOW_CONTROL_INCREMENT_UNI",
    "DEFAULT_STRICT",
    "DEFAULT_USER_AGENT",
    "DEFAULT_WRITE_TIMEOUT",
    "SUPPORTED_ADDRESS_VALIDATION",
    "SUPPORTED_CONGESTION_CONTROL_ALGORITHMS",
    "ClientConfigDefaults",
    "ServerConfigDefaults",
    "get_default_client_config",
    "get_default_server_config",
]

DEFAULT_ACCESS_LOG: Final = True
DEFAULT_ADDRESS_VALIDATION: Final = "auto"
DEFAULT_ADDRESS_VALIDATION_THRESHOLD: Final = 200  # half a second's work for one core
DEFAULT_ALPN_PROTOCOLS: Final = (ALPN_H3,)
DEFAULT_AUTO_RECONNECT: Final = False
DEFAULT_BIND_HOST: Final = "localhost"
DEFAULT_CERTFILE: Final = ""
DEFAULT_CLIENT_MAX_CONNECTIONS: Final = 100
DEFAULT_CLIENT_MAX_SESSIONS: Final = 100
DEFAULT_CLIENT_VERIFY_MODE: Final = ssl.CERT_REQUIRED
DEFAULT_CLOSE_TIMEOUT: Final = 5.0
DEFAULT_CONGESTION_CONTROL_ALGORITHM: Final = "cubic"
DEFAULT_CONNECTION_ATTEMPT_DELAY: Final = 0.25  # RFC 8305, section 5
DEFAULT_CONNECTION_IDLE_TIMEOUT: Final = 60.0
DEFAULT_CONNECTION_KEEPALIVE_TIMEOUT: Final = 30.0  # half the idle time-out: one lost PING does not end a connection
DEFAULT_CONNECT_TIMEOUT: Final = 30.0
DEFAULT_DEBUG: Final = False
DEFAULT_DEV_PORT: Final = 4433
DEFAULT_FLOW_CONTROL_WINDOW_AUTO_SCALE: Final = True
DEFAULT_FLOW_CONTROL_WINDOW_SIZE: Final = 1024 * 1024
DEFAULT_HANDSHAKE_TIMEOUT: Final = 10.0
DEFAULT_INITIAL_MAX_DATA: Final = 0  # 0: the library chooses
DEFAULT_INITIAL_MAX_STREAMS_BIDI: Final = 0  # 0: the library chooses
DEFAULT_INITIAL_MAX_STREAMS_UNI: Final = 0  # 0: the library chooses
DEFAULT_KEEP_ALIVE: Final = True
DEFAULT_KEYFILE: Final = ""
DEFAULT_LOG_LEVEL: Final = "INFO"
DEFAULT_MAX_CONNECTION_ATTEMPTS_PER_ADDRESS: Final = 2000  # an office behind one address that comes back at once
DEFAULT_MAX_DATAGRAM_SIZE: Final = _MAX_DATAGRAM_SIZE
DEFAULT_MAX_HANDSHAKES_PER_ADDRESS: Final = 100
DEFAULT_MAX_MESSAGE_SIZE: Final = 1024 * 1024
DEFAULT_MAX_PENDING_EVENTS_PER_SESSION: Final = 16
DEFAULT_MAX_RETRIES: Final = 3
DEFAULT_MAX_RETRY_DELAY: Final = 30.0
DEFAULT_MAX_STREAM_READ_BUFFER: Final = 64 * 1024
DEFAULT_MAX_STREAM_WRITE_BUFFER: Final = 1024 * 1024
DEFAULT_MAX_TOTAL_PENDING_EVENTS: Final = 1000
DEFAULT_MAX_UDP_PAYLOAD_SIZE: Final = 1472  # an Ethernet frame's 1500 bytes without the headers of IPv4 and UDP
DEFAULT_MAX_UNFINISHED_HANDSHAKES: Final = 1000
DEFAULT_PENDING_EVENT_TTL: Final = 5.0
DEFAULT_PUBSUB_SUBSCRIPTION_QUEUE_SIZE: Final = 16
DEFAULT_READ_TIMEOUT: Final = 60.0
DEFAULT_RESOURCE_CLEANUP_INTERVAL: Final = 15.0
DEFAULT_RETRY_BACKOFF: Final = 2.0
DEFAULT_RETRY_DELAY: Final = 1.0
DEFAULT_RPC_CONCURRENCY_LIMIT: Final = 100
DEFAULT_SECURE_PORT: Final = 443
DEFAULT_SERVER_MAX_CONNECTIONS: Final = 3000
DEFAULT_SERVER_MAX_SESSIONS: Final = 10000
DEFAULT_SERVER_VERIFY_MODE: Final = ssl.CERT_OPTIONAL
DEFAULT_STATELESS_RESET: Final = True
DEFAULT_STREAM_CREATION_TIMEOUT: Final = 10.0
DEFAULT_STREAM_FLOW_CONTROL_INCREMENT_BIDI: Final = 10
DEFAULT_STREAM_FLOW_CONTROL_INCREMENT_UNI: Final = 10
DEFAULT_STRICT: Final = False  # peers in use break the newest draft's requirements, Chromium among them
DEFAULT_USER_AGENT: Final = f"wtransport/{__version__}"
DEFAULT_WRITE_TIMEOUT: Final = 30.0
SUPPORTED_ADDRESS_VALIDATION: Final = ("never", "auto", "always")
SUPPORTED_CONGESTION_CONTROL_ALGORITHMS: Final = ("reno", "cubic")


class _CommonDefaults(TypedDict):
    """Settings that a client and a server share."""

    alpn_protocols: list[str]
    ca_certs: str | None
    close_timeout: float
    congestion_control_algorithm: str
    connection_idle_timeout: float
    connection_keepalive_timeout: float
    debug: bool
    flow_control_window_auto_scale: bool
    flow_control_window_size: int
    initial_max_data: int
    initial_max_streams_bidi: int
    initial_max_streams_uni: int
    keep_alive: bool
    log_level: str
    max_connections: int
    max_datagram_size: int
    max_message_size: int
    max_pending_events_per_session: int
    max_sessions: int
    max_stream_read_buffer: int
    max_stream_write_buffer: int
    max_total_pending_events: int
    max_udp_payload_size: int
    pending_event_ttl: float
    pubsub_subscription_queue_size: int
    read_timeout: float | None
    resource_cleanup_interval: float
    rpc_concurrency_limit: int
    stream_creation_timeout: float
    stream_flow_control_increment_bidi: int
    stream_flow_control_increment_uni: int
    strict: bool
    write_timeout: float | None
    wt_available_protocols: list[str]


class ClientConfigDefaults(_CommonDefaults):
    """Every setting of `ClientConfig`."""

    auto_reconnect: bool
    certfile: str | None
    connect_timeout: float
    connection_attempt_delay: float
    headers: dict[str, str]
    keyfile: str | None
    max_retries: int
    max_retry_delay: float
    retry_backoff: float
    retry_delay: float
    user_agent: str
    verify_mode: ssl.VerifyMode | None


class ServerConfigDefaults(_CommonDefaults):
    """Every setting of `ServerConfig`."""

    access_log: bool
    address_validation: str
    address_validation_threshold: int
    allowed_origins: list[str] | None
    bind_host: str
    bind_port: int
    certfile: str
    handshake_timeout: float
    keyfile: str
    max_connection_attempts_per_address: int
    max_handshakes_per_address: int
    max_unfinished_handshakes: int
    middleware: list[Any]
    stateless_reset: bool
    verify_mode: ssl.VerifyMode


def _common(*, max_connections: int, max_sessions: int) -> _CommonDefaults:
    return {
        "alpn_protocols": list(DEFAULT_ALPN_PROTOCOLS),
        "ca_certs": None,
        "close_timeout": DEFAULT_CLOSE_TIMEOUT,
        "congestion_control_algorithm": DEFAULT_CONGESTION_CONTROL_ALGORITHM,
        "connection_idle_timeout": DEFAULT_CONNECTION_IDLE_TIMEOUT,
        "connection_keepalive_timeout": DEFAULT_CONNECTION_KEEPALIVE_TIMEOUT,
        "debug": DEFAULT_DEBUG,
        "flow_control_window_auto_scale": DEFAULT_FLOW_CONTROL_WINDOW_AUTO_SCALE,
        "flow_control_window_size": DEFAULT_FLOW_CONTROL_WINDOW_SIZE,
        "initial_max_data": DEFAULT_INITIAL_MAX_DATA,
        "initial_max_streams_bidi": DEFAULT_INITIAL_MAX_STREAMS_BIDI,
        "initial_max_streams_uni": DEFAULT_INITIAL_MAX_STREAMS_UNI,
        "keep_alive": DEFAULT_KEEP_ALIVE,
        "log_level": DEFAULT_LOG_LEVEL,
        "max_connections": max_connections,
        "max_datagram_size": DEFAULT_MAX_DATAGRAM_SIZE,
        "max_message_size": DEFAULT_MAX_MESSAGE_SIZE,
        "max_pending_events_per_session": DEFAULT_MAX_PENDING_EVENTS_PER_SESSION,
        "max_sessions": max_sessions,
        "max_stream_read_buffer": DEFAULT_MAX_STREAM_READ_BUFFER,
        "max_stream_write_buffer": DEFAULT_MAX_STREAM_WRITE_BUFFER,
        "max_total_pending_events": DEFAULT_MAX_TOTAL_PENDING_EVENTS,
        "max_udp_payload_size": DEFAULT_MAX_UDP_PAYLOAD_SIZE,
        "pending_event_ttl": DEFAULT_PENDING_EVENT_TTL,
        "pubsub_subscription_queue_size": DEFAULT_PUBSUB_SUBSCRIPTION_QUEUE_SIZE,
        "read_timeout": DEFAULT_READ_TIMEOUT,
        "resource_cleanup_interval": DEFAULT_RESOURCE_CLEANUP_INTERVAL,
        "rpc_concurrency_limit": DEFAULT_RPC_CONCURRENCY_LIMIT,
        "stream_creation_timeout": DEFAULT_STREAM_CREATION_TIMEOUT,
        "stream_flow_control_increment_bidi": DEFAULT_STREAM_FLOW_CONTROL_INCREMENT_BIDI,
        "stream_flow_control_increment_uni": DEFAULT_STREAM_FLOW_CONTROL_INCREMENT_UNI,
        "strict": DEFAULT_STRICT,
        "write_timeout": DEFAULT_WRITE_TIMEOUT,
        "wt_available_protocols": [],
    }


def get_default_client_config() -> ClientConfigDefaults:
    """Return a fresh dict of every `ClientConfig` default."""
    return {
        **_common(max_connections=DEFAULT_CLIENT_MAX_CONNECTIONS, max_sessions=DEFAULT_CLIENT_MAX_SESSIONS),
        "auto_reconnect": DEFAULT_AUTO_RECONNECT,
        "certfile": None,
        "connect_timeout": DEFAULT_CONNECT_TIMEOUT,
        "connection_attempt_delay": DEFAULT_CONNECTION_ATTEMPT_DELAY,
        "headers": {},
        "keyfile": None,
        "max_retries": DEFAULT_MAX_RETRIES,
        "max_retry_delay": DEFAULT_MAX_RETRY_DELAY,
        "retry_backoff": DEFAULT_RETRY_BACKOFF,
        "retry_delay": DEFAULT_RETRY_DELAY,
        "user_agent": DEFAULT_USER_AGENT,
        "verify_mode": DEFAULT_CLIENT_VERIFY_MODE,
    }


def get_default_server_config() -> ServerConfigDefaults:
    """Return a fresh dict of every `ServerConfig` default."""
    return {
        **_common(max_connections=DEFAULT_SERVER_MAX_CONNECTIONS, max_sessions=DEFAULT_SERVER_MAX_SESSIONS),
        "access_log": DEFAULT_ACCESS_LOG,
        "address_validation": DEFAULT_ADDRESS_VALIDATION,
        "address_validation_threshold": DEFAULT_ADDRESS_VALIDATION_THRESHOLD,
        "allowed_origins": None,
        "bind_host": DEFAULT_BIND_HOST,
        "bind_port": DEFAULT_DEV_PORT,
        "certfile": DEFAULT_CERTFILE,
        "handshake_timeout": DEFAULT_HANDSHAKE_TIMEOUT,
        "keyfile": DEFAULT_KEYFILE,
        "max_connection_attempts_per_address": DEFAULT_MAX_CONNECTION_ATTEMPTS_PER_ADDRESS,
        "max_handshakes_per_address": DEFAULT_MAX_HANDSHAKES_PER_ADDRESS,
        "max_unfinished_handshakes": DEFAULT_MAX_UNFINISHED_HANDSHAKES,
        "middleware": [],
        "stateless_reset": DEFAULT_STATELESS_RESET,
        "verify_mode": DEFAULT_SERVER_VERIFY_MODE,
    }
