"""What a listener makes its connections from: a configuration whose files were read once."""

from __future__ import annotations

from .._quic.factory import create_server_configuration, create_server_port
from .._quic.port import QuicPort
from .._quic.reset_tokens import ResetTokens
from ..config import ServerConfig
from .sockets import FORBIDS_FRAGMENTS


class ServerPorts:
    """Makes the QUIC port of each connection, and the tokens of stateless resets."""

    def __init__(self, config: ServerConfig) -> None:
        """Read the certificate, and the authorities of client certificates.

        Raises:
            CertificateError: a file cannot be used.
        """
        self._config = config
        self._quic = create_server_configuration(config)
        self._reset_tokens: ResetTokens | None = None

    @property
    def supported_versions(self) -> list[int]:
        """Return the QUIC versions of all, as they are on the wire."""
        return self._quic.supported_versions

    def listening_at(self, port: int) -> None:
        """Take note of the UDP port, which the tokens depend on."""
        self._reset_tokens = self._quic.reset_tokens(port) if self._config.stateless_reset else None

    def make(self, original_cid: bytes, retry_cid: bytes | None) -> QuicPort:
        """Make the port of a new connection.

        Args:
            original_cid: the destination connection id of the client's very first packet.
            retry_cid: that of its packet after a Retry, or None when there was none.
        """
        return create_server_port(
            config=self._config,
            quic_configuration=self._quic,
            original_destination_connection_id=original_cid,
            retry_source_connection_id=retry_cid,
            reset_tokens=self._reset_tokens,
            discovers_path_mtu=FORBIDS_FRAGMENTS,
        )

    def reset_token(self, connection_id: bytes) -> bytes | None:
        """Return the token that resets a connection which nobody remembers; None when resets are switched off."""
        return None if self._reset_tokens is None else self._reset_tokens.token(connection_id)
