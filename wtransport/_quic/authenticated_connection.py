"""aioquic's connection with certificates of clients and keying material of TLS; knows aioquic's privates."""

from __future__ import annotations

from aioquic.tls import CipherSuite, Direction, Epoch, Group, cipher_suite_hash
from cryptography.hazmat.primitives.hashes import HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from ..exceptions import ConnectionError
from .client_certificates import ClientCertificates
from .exporter import exported
from .members import ONE_RTT
from .moving_connection import MovingConnection


class AuthenticatedConnection(MovingConnection):
    """A `QuicConnection` that knows whom it talks to."""

    _client_certificates: ClientCertificates | None = None
    """Server only: the rule for certificates of clients; set before the handshake."""
    _exporter: tuple[HashAlgorithm, bytes] | None = None

    @property
    def peer_certificate(self) -> bytes | None:
        """Return the peer's certificate as DER, once the handshake is over; None when it sent none."""
        certificate = self.tls._peer_certificate if self._handshake_complete else None
        return None if certificate is None else certificate.public_bytes(Encoding.DER)

    def export_keying_material(self, label: bytes, context: bytes, length: int) -> bytes:
        """Return bytes of the TLS exporter (RFC 8446, 7.5)."""
        if self._exporter is None:
            raise ConnectionError("keying material is there only after the handshake")
        return exported(*self._exporter, label, context, length)

    def _initialize(self, peer_cid: bytes) -> None:
        super()._initialize(peer_cid)
        if self._is_client:
            # Every server has one of these; aioquic's own context makes a key of each.
            self.tls._supported_groups = [Group.X25519, Group.SECP256R1]
        elif self._client_certificates is not None:
            self.tls._request_client_certificate = True
            # A resumed session would bring no certificate, and so get around the check.
            self.tls.get_session_ticket_cb = self.tls.new_session_ticket_cb = None

    def _update_traffic_key(self, direction: Direction, epoch: Epoch, cipher_suite: CipherSuite, secret: bytes) -> None:
        if epoch is ONE_RTT and self._exporter is None:
            # Now, as the transcript ends with the server's Finished; later it goes on (RFC 8446, 7.1).
            schedule = self.tls.key_schedule
            if schedule is not None:
                self._exporter = cipher_suite_hash(cipher_suite), schedule.derive_secret(b"exp master")
        if self._client_certificates is not None and epoch is ONE_RTT and direction is Direction.DECRYPT:
            # The client's Finished is there. Without this key nothing that the client says is read; aioquic has seen
            # only that the client owns the certificate it sent, if any.
            self._client_certificates.check(self.tls._peer_certificate, self.tls._peer_certificate_chain)
        super()._update_traffic_key(direction, epoch, cipher_suite, secret)
