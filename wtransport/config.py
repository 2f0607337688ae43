"""Settings of clients and servers: plain data, checked when made; knows no socket.

Keyword-only dataclasses. They are checked on construction, in `update` and again by whoever uses them, with no I/O
other than looking whether named files exist. Times are seconds, sizes are bytes. The string under each field is its
meaning in the reference.
"""

from __future__ import annotations

import logging
import ssl
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import cache
from itertools import compress, repeat
from operator import is_, is_not
from typing import Any, Self

from . import constants as c
from ._config_validation import FILES, RULES, check_pairs
from .exceptions import ConfigurationError, invalid_config
from .types import Headers, MiddlewareProtocol

__all__ = ["ClientConfig", "ServerConfig"]

_logger = logging.getLogger(__name__)

_NO_DEFAULT, _ABSENT = object(), object()  # no value of a field is one of these


@dataclass(kw_only=True)
class _CommonConfig:
    """What `ClientConfig` and `ServerConfig` share."""

    alpn_protocols: list[str] = field(default_factory=lambda: list(c.DEFAULT_ALPN_PROTOCOLS))
    """ALPN protocols to offer or accept; must contain ``"h3"``."""
    ca_certs: str | None = None
    """PEM file of the only authorities to check the peer against; None: the system's (client), no check (server)."""
    close_timeout: float = c.DEFAULT_CLOSE_TIMEOUT
    """How long closing a connection may take, and how long a graceful shutdown waits for its sessions."""
    congestion_control_algorithm: str = c.DEFAULT_CONGESTION_CONTROL_ALGORITHM
    """``"cubic"`` or ``"reno"``."""
    connection_idle_timeout: float = c.DEFAULT_CONNECTION_IDLE_TIMEOUT
    """A connection that hears nothing for so long is over (QUIC max_idle_timeout; the smaller of both ends counts)."""
    connection_keepalive_timeout: float = c.DEFAULT_CONNECTION_KEEPALIVE_TIMEOUT
    """With `keep_alive`: send a PING after so much silence."""
    debug: bool = c.DEFAULT_DEBUG
    """Log at level DEBUG, whatever `log_level` says."""
    flow_control_window_auto_scale: bool = c.DEFAULT_FLOW_CONTROL_WINDOW_AUTO_SCALE
    """Extend a session's windows as the program reads; False: only the session's ``grant_*_credit`` do."""
    flow_control_window_size: int = c.DEFAULT_FLOW_CONTROL_WINDOW_SIZE
    """Bytes the peer may send ahead of the reader, per stream and (scaled by QUIC) per connection and session."""
    initial_max_data: int = c.DEFAULT_INITIAL_MAX_DATA
    """First session-level data window given to the peer; 0: the library chooses one that extends as data is read."""
    initial_max_streams_bidi: int = c.DEFAULT_INITIAL_MAX_STREAMS_BIDI
    """Bidirectional streams the peer may open in a session at first; 0: the library chooses."""
    initial_max_streams_uni: int = c.DEFAULT_INITIAL_MAX_STREAMS_UNI
    """Unidirectional streams the peer may open in a session at first; 0: the library chooses."""
    keep_alive: bool = c.DEFAULT_KEEP_ALIVE
    """Keep an idle connection open with PINGs, see `connection_keepalive_timeout`."""
    log_level: str = c.DEFAULT_LOG_LEVEL
    """Level of the ``wtransport`` logger: DEBUG, INFO, WARNING, ERROR or CRITICAL."""
    max_datagram_size: int = c.DEFAULT_MAX_DATAGRAM_SIZE
    """Largest datagram payload to send and frame to accept; the peer and the path may allow less."""
    max_message_size: int = c.DEFAULT_MAX_MESSAGE_SIZE
    """Largest single message of the structured streams and of RPC."""
    max_pending_events_per_session: int = c.DEFAULT_MAX_PENDING_EVENTS_PER_SESSION
    """Streams and datagrams kept for one session that does not exist yet, or whose program does not listen yet."""
    max_stream_read_buffer: int = c.DEFAULT_MAX_STREAM_READ_BUFFER
    """Most bytes that ``readuntil`` and ``readline`` search for their separator, unless the call has a limit.

    How much the peer may send ahead of the reader is `flow_control_window_size`.
    """
    max_stream_write_buffer: int = c.DEFAULT_MAX_STREAM_WRITE_BUFFER
    """Bytes a stream buffers unsent before ``write`` waits."""
    max_total_pending_events: int = c.DEFAULT_MAX_TOTAL_PENDING_EVENTS
    """The same as `max_pending_events_per_session`, over all sessions of a connection."""
    max_udp_payload_size: int = c.DEFAULT_MAX_UDP_PAYLOAD_SIZE
    """Bytes of the largest packet to try (UDP payload) where a connection sends much; 1200: none larger than that.

    For IPv4; an IPv6 packet of the same size carries 20 bytes less. The default is what Ethernet takes, more is for
    networks with jumbo frames. What the path and the peer take is found out; larger packets need a system on which
    fragmentation can be forbidden (Linux).
    """
    pending_event_ttl: float = c.DEFAULT_PENDING_EVENT_TTL
    """How long those are kept."""
    pubsub_subscription_queue_size: int = c.DEFAULT_PUBSUB_SUBSCRIPTION_QUEUE_SIZE
    """Messages a subscription keeps for its reader; for programs to pass to `PubSubManager`, which is told a number."""
    read_timeout: float | None = c.DEFAULT_READ_TIMEOUT
    """How long a stream's read waits for data; None: without end."""
    resource_cleanup_interval: float = c.DEFAULT_RESOURCE_CLEANUP_INTERVAL
    """Accepted for programs of the 0.9 API, without effect: what is over or expired is dropped at once."""
    rpc_concurrency_limit: int = c.DEFAULT_RPC_CONCURRENCY_LIMIT
    """Incoming RPC calls that run at a time; further ones wait."""
    stream_creation_timeout: float = c.DEFAULT_STREAM_CREATION_TIMEOUT
    """How long opening a stream waits for the peer's credit."""
    stream_flow_control_increment_bidi: int = c.DEFAULT_STREAM_FLOW_CONTROL_INCREMENT_BIDI
    """Bidirectional streams granted to the peer at a time."""
    stream_flow_control_increment_uni: int = c.DEFAULT_STREAM_FLOW_CONTROL_INCREMENT_UNI
    """Unidirectional streams granted to the peer at a time."""
    strict: bool = c.DEFAULT_STRICT
    """Refuse peers that lack a requirement of the draft they announce, instead of working with what they have."""
    write_timeout: float | None = c.DEFAULT_WRITE_TIMEOUT
    """How long ``write`` waits for room in the buffer; None: without end."""
    wt_available_protocols: list[str] = field(default_factory=list)
    """Subprotocols (WT-Available-Protocols): a client offers them in order of preference, a server picks from them."""

    def __post_init__(self) -> None:
        self.validate()
        # A later change to the caller's own list or dict must not get in unchecked.
        kind: Any = type(self)
        for name in _containers(kind):
            value = getattr(self, name)
            if value.__class__ is list or value.__class__ is dict:
                setattr(self, name, value.copy())
            elif isinstance(value, list | tuple):
                setattr(self, name, list(value))
            elif isinstance(value, dict):
                setattr(self, name, dict(value))

    @classmethod
    def from_dict(cls, *, config_dict: dict[str, Any]) -> Self:
        """Make a configuration from a dict, such as one that `to_dict` or a settings file gave.

        Unknown keys are ignored, with one logged warning that names them. Integers are accepted as `verify_mode`.

        Raises:
            ConfigurationError: a value has a wrong type or is out of range.
            CertificateError: a named file does not exist.
        """
        if not isinstance(config_dict, dict):
            raise invalid_config(key="config_dict", value=config_dict, reason="must be a dict")
        known = {each.name for each in fields(cls)}
        unknown = [key for key in config_dict if key not in known]
        if unknown:
            _logger.warning("%s: unknown keys ignored: %s", cls.__name__, ", ".join(map(repr, unknown)))
        values = {key: value for key, value in config_dict.items() if key in known}
        mode = values.get("verify_mode")
        # JSON has no enum: what ssl.VerifyMode became there comes back as its number.
        if isinstance(mode, int) and not isinstance(mode, bool) and mode in set(ssl.VerifyMode):
            values["verify_mode"] = ssl.VerifyMode(mode)
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Return every setting by its name; lists and dicts are copies."""
        return {each.name: _copied(getattr(self, each.name)) for each in fields(self)}

    def copy(self) -> Self:
        """Return an independent, equal configuration."""
        return replace(self)

    def update(self, **kwargs: Any) -> Self:
        """Return a new, checked configuration with the given settings changed; this one stays as it is.

        Raises:
            ConfigurationError: an unknown setting, a wrong type, or a value out of range.
            CertificateError: a named file does not exist.
        """
        known = {each.name for each in fields(self)}
        for key, value in kwargs.items():
            if key not in known:
                raise invalid_config(key=key, value=value, reason=f"{type(self).__name__} has no such setting")
        return replace(self, **kwargs)

    def validate(self) -> None:
        """Check type and range of every setting.

        Raises:
            ConfigurationError: naming the setting in `config_key` and what it was given in `config_value`.
            CertificateError: a named file does not exist.
        """
        raise NotImplementedError


@dataclass(kw_only=True)
class ClientConfig(_CommonConfig):
    """Settings of a client. Every argument is optional and keyword-only.

    Raises:
        ConfigurationError: a value has a wrong type or is out of range.
        CertificateError: a named file does not exist.
    """

    auto_reconnect: bool = c.DEFAULT_AUTO_RECONNECT
    """Whether ``connect`` tries again, see `max_retries` and the delays, if an attempt fails for want of an answer."""
    certfile: str | None = None
    """PEM file of the client's own certificate chain, sent when the server asks; needs `keyfile`."""
    connect_timeout: float = c.DEFAULT_CONNECT_TIMEOUT
    """How long ``connect`` may take from the name lookup to the open session."""
    connection_attempt_delay: float = c.DEFAULT_CONNECTION_ATTEMPT_DELAY
    """How long an address of the server may stay silent before the next one is tried beside it (RFC 8305)."""
    headers: Headers = field(default_factory=dict)
    """Headers of every CONNECT request; names are sent in lower case."""
    keyfile: str | None = None
    """PEM file of the private key of `certfile`."""
    max_connections: int = c.DEFAULT_CLIENT_MAX_CONNECTIONS
    """Connections one client may have open at a time."""
    max_retries: int = c.DEFAULT_MAX_RETRIES
    """Further attempts to connect after one that failed; negative: for ever."""
    max_retry_delay: float = c.DEFAULT_MAX_RETRY_DELAY
    """Longest wait between two attempts."""
    max_sessions: int = c.DEFAULT_CLIENT_MAX_SESSIONS
    """Sessions one client may have open at a time."""
    retry_backoff: float = c.DEFAULT_RETRY_BACKOFF
    """Factor by which the wait grows with each attempt, at least 1."""
    retry_delay: float = c.DEFAULT_RETRY_DELAY
    """Wait before the first new attempt."""
    user_agent: str = field(default_factory=lambda: c.DEFAULT_USER_AGENT)
    """Value of the ``user-agent`` header; empty: none is sent."""
    verify_mode: ssl.VerifyMode | None = c.DEFAULT_CLIENT_VERIFY_MODE
    """How the server's certificate is checked; None means ssl.CERT_REQUIRED, and CERT_OPTIONAL is no weaker."""

    @classmethod
    def create_for_development(cls, *, verify_ssl: bool = False) -> Self:
        """Return settings for a server on this machine: debug logs, and no certificate check unless `verify_ssl`."""
        return cls(
            verify_mode=ssl.CERT_REQUIRED if verify_ssl else ssl.CERT_NONE,
            debug=True,
            log_level="DEBUG",
        )

    @classmethod
    def create_for_production(
        cls, *, ca_certs: str | None = None, certfile: str | None = None, keyfile: str | None = None
    ) -> Self:
        """Return settings that check the server's certificate, against `ca_certs` or the system's authorities."""
        return cls(ca_certs=ca_certs, certfile=certfile, keyfile=keyfile, verify_mode=ssl.CERT_REQUIRED)

    def validate(self) -> None:  # noqa: D102 - documented on the base class
        _check_fields(self, "ClientConfig")
        check_pairs(certfile=self.certfile, keyfile=self.keyfile)


@dataclass(kw_only=True)
class ServerConfig(_CommonConfig):
    """Settings of a server. Every argument is optional and keyword-only.

    Without `certfile` and `keyfile` it is a valid configuration, with which a server cannot listen.

    Raises:
        ConfigurationError: a value has a wrong type or is out of range.
        CertificateError: a named file does not exist.
    """

    access_log: bool = c.DEFAULT_ACCESS_LOG
    """Log one line for every session request, with its outcome."""
    address_validation: str = c.DEFAULT_ADDRESS_VALIDATION
    """When a client must show that packets reach it (Retry) before anything is kept or computed for it.

    ``"auto"``: once there are `address_validation_threshold` unfinished handshakes, and for an address that reaches one
    of its own limits. ``"always"``, ``"never"``. It costs the client one round trip, and ends floods from forged
    addresses.
    """
    address_validation_threshold: int = c.DEFAULT_ADDRESS_VALIDATION_THRESHOLD
    """Unfinished handshakes from which ``"auto"`` validates; half of `max_connections` if that is less."""
    allowed_origins: list[str] | None = None
    """Origins such as ``"https://example.com"`` whose pages may open sessions; None: those of every origin.

    Scheme, host and port must match the request's ``origin`` exactly; otherwise it is refused with 403. Clients that
    are no browsers need not send one, and are let in without. ``"null"`` stands for pages of no origin, such as files.
    """
    bind_host: str = c.DEFAULT_BIND_HOST
    """Name or address to listen on; every address that a name resolves to."""
    bind_port: int = c.DEFAULT_DEV_PORT
    """UDP port to listen on; 0: one that is free."""
    certfile: str = c.DEFAULT_CERTFILE
    """PEM file of the server's certificate chain; needs `keyfile`."""
    handshake_timeout: float = c.DEFAULT_HANDSHAKE_TIMEOUT
    """How long a connection may take from its first packet until both ends can begin sessions."""
    keyfile: str = c.DEFAULT_KEYFILE
    """PEM file of the private key of `certfile`."""
    max_connection_attempts_per_address: int = c.DEFAULT_MAX_CONNECTION_ATTEMPTS_PER_ADDRESS
    """Connections that one address may begin within ten seconds; first packets beyond that are dropped.

    An address is an IPv4 address or an IPv6 network of 64 bits; behind one there may be many users. Clients whose
    address is validated are counted apart, here and in `max_handshakes_per_address`, so nobody is locked out by
    forgeries.
    """
    max_connections: int = c.DEFAULT_SERVER_MAX_CONNECTIONS
    """Connections open at a time; further ones are refused."""
    max_handshakes_per_address: int = c.DEFAULT_MAX_HANDSHAKES_PER_ADDRESS
    """Unfinished handshakes of one address; first packets beyond that are dropped, and repeated by clients."""
    max_sessions: int = c.DEFAULT_SERVER_MAX_SESSIONS
    """Sessions open at a time; further requests are refused."""
    max_unfinished_handshakes: int = c.DEFAULT_MAX_UNFINISHED_HANDSHAKES
    """Unfinished handshakes in all, about 100 KiB each; first packets beyond that are dropped."""
    middleware: list[MiddlewareProtocol] = field(default_factory=list)
    """Middleware of a `ServerApp`, run before what is added to it later."""
    stateless_reset: bool = c.DEFAULT_STATELESS_RESET
    """Tell clients of a server that was restarted with the same certificate key at once that their connection is lost.

    Switch it off where several hosts share a private key and a port: then whoever can see a connection's packets could
    have another host reset it (RFC 9000, section 21.11).
    """
    verify_mode: ssl.VerifyMode = c.DEFAULT_SERVER_VERIFY_MODE
    """Whether clients need a certificate; one is asked for only with `ca_certs`, and not with ssl.CERT_NONE.

    ssl.CERT_OPTIONAL lets clients without one in; any that is sent must be valid. See `session.peer_certificate`.
    """

    @classmethod
    def create_for_development(
        cls,
        *,
        host: str = c.DEFAULT_BIND_HOST,
        port: int = c.DEFAULT_DEV_PORT,
        certfile: str | None = None,
        keyfile: str | None = None,
    ) -> Self:
        """Return settings with debug logs; without `certfile` and `keyfile` set them before listening."""
        return cls(
            bind_host=host,
            bind_port=port,
            certfile=certfile or "",
            keyfile=keyfile or "",
            debug=True,
            log_level="DEBUG",
        )

    @classmethod
    def create_for_production(
        cls, *, host: str, port: int, ca_certs: str | None = None, certfile: str, keyfile: str
    ) -> Self:
        """Return settings for a public server; with `ca_certs` clients are asked for a certificate."""
        return cls(bind_host=host, bind_port=port, ca_certs=ca_certs, certfile=certfile, keyfile=keyfile)

    def validate(self) -> None:  # noqa: D102 - documented on the base class
        _check_fields(self, "ServerConfig")
        check_pairs(certfile=self.certfile, keyfile=self.keyfile)
        if self.verify_mode is ssl.CERT_REQUIRED and not self.ca_certs:
            reason = "ssl.CERT_REQUIRED needs ca_certs: there would be nothing to check a client's certificate against"
            raise invalid_config(key="verify_mode", value=self.verify_mode, reason=reason)


class _Checks:
    """What the configurations of one class are checked with.

    A client for each connection has a configuration for each, whose values are nearly always those of the one before:
    what has passed once, and is the same object still, is not checked again.

    Attributes:
        keys: the fields whose values cannot change without becoming others, and `rules` the same with what checks them.
        changing: the other fields, containers and files, and `changing_rules` the same with what checks them.
        usual: the defaults of these, where they are valid and no files: what is equal to them need not be looked at.
        good: values of `keys` that passed.
    """

    __slots__ = ("changing", "changing_rules", "good", "keys", "rules", "usual")

    def __init__(self, made_by: Any, kind: str) -> None:
        defaults = _valid_defaults(made_by, kind)
        changing = {*FILES, *_containers(made_by)}
        self.rules = [(key, rule) for key, rule in RULES[kind].items() if key not in changing]
        self.changing_rules = [(key, rule) for key, rule in RULES[kind].items() if key in changing]
        self.changing = [key for key, _ in self.changing_rules]
        self.usual = [defaults.get(key, _NO_DEFAULT) for key in self.changing]
        self.keys = [key for key, _ in self.rules]
        self.good = [defaults.get(key, _NO_DEFAULT) for key in self.keys]


_checks = cache(_Checks)


def _check_fields(config: _CommonConfig, kind: str) -> None:
    made_by: Any = type(config)
    checks = _checks(made_by, kind)
    held = vars(config)
    values = list(map(held.get, checks.keys, repeat(_ABSENT)))
    if not all(map(is_, values, checks.good)):
        for key, rule in compress(checks.rules, map(is_not, values, checks.good)):
            rule(key, getattr(config, key))  # one that only the class has is its default
        if not any(map(is_, values, repeat(_ABSENT))):
            checks.good = values
    if list(map(held.get, checks.changing, repeat(_ABSENT))) == checks.usual:
        return
    for key, rule in checks.changing_rules:
        value = getattr(config, key)
        if value is not None or key not in FILES:
            rule(key, value)


@cache
def _valid_defaults(kind: Any, rules: str) -> dict[str, Any]:
    """Return the defaults that are valid whenever they are looked at: no paths, and not what a subclass got wrong."""
    valid = {}
    for each in fields(kind):
        default: Any = each.default
        if each.default_factory is not MISSING and each.name in _containers(kind):
            default = _copied(each.default_factory())
        if default is MISSING or each.name not in RULES[rules] or (each.name in FILES and default):
            continue
        try:
            RULES[rules][each.name](each.name, default)
        except ConfigurationError:
            continue
        valid[each.name] = default
    return valid


@cache
def _containers(kind: Any) -> list[str]:
    """Return the names of the fields that may hold a list or a dict."""
    return [each.name for each in fields(kind) if str(each.type).startswith(("list", "Headers"))]


def _copied(value: Any) -> Any:
    if isinstance(value, list):
        return list(value)
    return dict(value) if isinstance(value, dict) else value
