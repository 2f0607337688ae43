"""Makes QUIC ports from wtransport configurations: the one place that chooses which QUIC stands behind the engine."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.packet import QuicProtocolVersion
from aioquic.tls import CipherSuite
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ..config import ClientConfig, ServerConfig
from ..exceptions import CertificateError
from ..utils import create_quic_configuration
from .aioquic_port import AioquicPort
from .authorities import check_authorities
from .client_certificates import ClientCertificates
from .limits import TransportLimits
from .path_mtu import BASE_UDP_PAYLOAD
from .port import QuicPort
from .reset_tokens import ResetTokens
from .tls_context import PublishedCertificate

MAX_DATAGRAM_FRAME_SIZE = 65536
"""Bytes of a DATAGRAM frame that we take: any that fits a UDP packet (RFC 9221, 3)."""

DEFAULT_MAX_STREAMS = 256
"""WebTransport streams of one direction that a peer may have open on a connection when the configuration says 0."""

HTTP3_UNI_STREAMS = 16
"""Unidirectional streams on top of those: control, two of QPACK, and some of unknown types (RFC 9114, 6.2)."""

MAX_CONNECT_STREAMS = 256
"""CONNECT streams, each one session, that are let in besides WebTransport streams; more sessions share those."""

CONNECTION_WINDOW_FACTOR = 8
"""The connection's window as a multiple of a stream's: some slow readers must not stop the other streams. Twice that of
a session, so that one that nobody reads at all does not stop the other sessions."""

MIN_STREAM_WINDOW = 4096
"""Bytes: HTTP/3's own streams need 1024 at least (RFC 9114, 6.2), however small a window is configured."""

CIPHER_SUITES = [
    CipherSuite.AES_128_GCM_SHA256,
    CipherSuite.AES_256_GCM_SHA384,
    CipherSuite.CHACHA20_POLY1305_SHA256,
]
"""AES-128 first: the cheapest where AES is in hardware, and as strong as anybody needs (RFC 9001, 5.3)."""


@dataclass(frozen=True, slots=True)
class ServerConfiguration:
    """What all connections share that a listener accepts, until its certificate is replaced."""

    quic: QuicConfiguration
    client_certificates: ClientCertificates | None
    """The rule for client certificates; None asks for none."""

    @property
    def supported_versions(self) -> list[int]:
        """Return the QUIC versions to take, as they are on the wire."""
        return list(self.quic.supported_versions)

    def reset_tokens(self, port: int) -> ResetTokens:
        """Return the stateless reset tokens of a server with this certificate at a UDP port."""
        private_key = self.quic.private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        return ResetTokens(private_key=private_key, port=port)


def create_client_port(*, config: ClientConfig, server_name: str, discovers_path_mtu: bool = False) -> QuicPort:
    """Make the port of a new client connection.

    Args:
        config: the client's configuration.
        server_name: host name or IP address that the certificate must be for.
        discovers_path_mtu: packets are not fragmented on their way, so larger ones may be tried.

    Raises:
        CertificateError: the client's certificate or the CA file cannot be read.
    """
    quic = _configuration(config, is_client=True)
    quic.server_name = server_name
    quic.verify_mode = config.verify_mode
    if config.ca_certs is not None:
        _load_authorities(quic, config.ca_certs)
    if config.certfile:
        _load_certificate(quic, config.certfile, config.keyfile)
    return AioquicPort(
        configuration=quic,
        limits=_limits(config, discovers_path_mtu=discovers_path_mtu),
        keep_alive_interval=_keep_alive_interval(config),
    )


def create_server_configuration(config: ServerConfig) -> ServerConfiguration:
    """Read the certificate, and the authorities of client certificates.

    Raises:
        CertificateError: the certificate, its key or the CA file cannot be read, or key and certificate do not match.
    """
    quic = _configuration(config, is_client=False)
    _load_certificate(quic, config.certfile, config.keyfile)
    client_certificates = None
    if config.ca_certs and config.verify_mode is not ssl.CERT_NONE:
        is_required = config.verify_mode is ssl.CERT_REQUIRED
        client_certificates = ClientCertificates.load(config.ca_certs, is_required=is_required)
    return ServerConfiguration(quic, client_certificates)


def create_server_port(
    *,
    config: ServerConfig,
    quic_configuration: ServerConfiguration,
    original_destination_connection_id: bytes,
    retry_source_connection_id: bytes | None = None,
    reset_tokens: ResetTokens | None = None,
    discovers_path_mtu: bool = False,
) -> QuicPort:
    """Make the port of a connection that a client began.

    Args:
        config: the server's configuration.
        quic_configuration: from `create_server_configuration`.
        original_destination_connection_id: the destination connection id of the client's first packet.
        retry_source_connection_id: that of its first packet after a Retry, which has validated its address.
        reset_tokens: from `ServerConfiguration.reset_tokens`; None makes tokens that are of no use later.
        discovers_path_mtu: packets are not fragmented on their way, so larger ones may be tried.
    """
    return AioquicPort(
        configuration=quic_configuration.quic,
        limits=_limits(config, discovers_path_mtu=discovers_path_mtu),
        keep_alive_interval=_keep_alive_interval(config),
        client_certificates=quic_configuration.client_certificates,
        original_destination_connection_id=original_destination_connection_id,
        retry_source_connection_id=retry_source_connection_id,
        reset_tokens=reset_tokens,
    )


def _configuration(config: ClientConfig | ServerConfig, *, is_client: bool) -> QuicConfiguration:
    quic = QuicConfiguration.__new__(QuicConfiguration)
    vars(quic).update(
        _attributes(
            tuple(config.alpn_protocols), config.congestion_control_algorithm, config.connection_idle_timeout, is_client
        )
    )
    return quic


@lru_cache(maxsize=64)
def _attributes(
    alpn_protocols: tuple[str, ...], congestion_control_algorithm: str, idle_timeout: float, is_client: bool
) -> dict[str, Any]:
    """Return what a configuration is made of; nobody changes its lists, a client's certificate replaces its own."""
    quic = create_quic_configuration(
        alpn_protocols=list(alpn_protocols),
        congestion_control_algorithm=congestion_control_algorithm,
        idle_timeout=idle_timeout,
        is_client=is_client,
        max_datagram_size=MAX_DATAGRAM_FRAME_SIZE,
    )
    quic.max_datagram_frame_size = MAX_DATAGRAM_FRAME_SIZE
    quic.cipher_suites = CIPHER_SUITES
    # Keys of every version are derived for every connection; no peer in use speaks version 2 alone.
    quic.supported_versions = [QuicProtocolVersion.VERSION_1]
    return vars(quic)


def _limits(config: ClientConfig | ServerConfig, *, discovers_path_mtu: bool) -> TransportLimits:
    return _limits_of(
        config.flow_control_window_size,
        config.max_sessions,
        config.initial_max_streams_bidi,
        config.initial_max_streams_uni,
        config.max_udp_payload_size if discovers_path_mtu else BASE_UDP_PAYLOAD,
    )


@lru_cache(maxsize=64)
def _limits_of(window: int, sessions: int, streams_bidi: int, streams_uni: int, udp_payload: int) -> TransportLimits:
    window = max(window, MIN_STREAM_WINDOW)
    return TransportLimits(
        stream_window=window,
        connection_window=CONNECTION_WINDOW_FACTOR * window,
        max_streams_bidi=(streams_bidi or DEFAULT_MAX_STREAMS) + min(sessions, MAX_CONNECT_STREAMS),
        max_streams_uni=(streams_uni or DEFAULT_MAX_STREAMS) + HTTP3_UNI_STREAMS,
        max_udp_payload_size=udp_payload,
    )


def _keep_alive_interval(config: ClientConfig | ServerConfig) -> float | None:
    return config.connection_keepalive_timeout if config.keep_alive else None


def _load_authorities(quic: QuicConfiguration, ca_certs: str) -> None:
    try:
        # aioquic opens the file in the middle of the handshake, where an error would be too late.
        check_authorities(ca_certs)
    except (OSError, ValueError) as exc:
        raise CertificateError(
            f"cannot load the CA certificates: {exc}", certificate_path=ca_certs, certificate_error=str(exc)
        ) from exc
    quic.load_verify_locations(cafile=ca_certs)


def _load_certificate(quic: QuicConfiguration, certfile: str, keyfile: str | None) -> None:
    try:
        quic.load_cert_chain(certfile, keyfile or None)
        # A wrong key would only show in handshakes, which all would fail.
        if quic.certificate.public_key() != quic.private_key.public_key():
            raise ValueError("the key is not that of the certificate")
        quic.certificate = PublishedCertificate(quic.certificate)
        quic.certificate_chain = [PublishedCertificate(each) for each in quic.certificate_chain]
    except (OSError, ValueError, TypeError, IndexError, AttributeError) as exc:
        raise CertificateError(
            f"cannot load the certificate or its key: {exc}", certificate_path=certfile, certificate_error=str(exc)
        ) from exc
