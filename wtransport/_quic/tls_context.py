"""aioquic's TLS context, and what it calls for each handshake, without what is the same every time.

Nothing of TLS is decided here: which bytes are sent, and what is refused, is aioquic's. With the compiled data path the
messages that nearly every handshake is made of are read and written by `_compiled.tls_server`, to the same effect.
"""

from __future__ import annotations

import ipaddress
import logging
import os
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from aioquic import tls
from aioquic._buffer import Buffer
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, x448, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from .backend import IS_COMPILED
from .certificates_met import load_certificate
from .client_hello import OneShareContext

if TYPE_CHECKING or not IS_COMPILED:

    class _Messages:
        """Where no messages are read and written in C, all are aioquic's."""

        def _take_settings(self, settings: dict[str, Any]) -> None:
            """Take the arguments of aioquic's context that are not None."""
            values = vars(self)
            for name, value in settings.items():
                if value is not None:
                    values["_" + name] = value
else:
    from ._compiled.tls_server import TlsMessages as _Messages

__all__ = ["AddressModule", "HandshakeContext", "PublishedCertificate", "encode_public_key"]

KNOWN_NAMES = 256
"""Server names of which it is remembered whether they are addresses."""

_MESSAGE_OVERHEAD = 8
_ENTRY_OVERHEAD = 5
"""Bytes of a Certificate message without its certificates, and of each without its DER."""

_encode_other: Any = vars(tls)["encode_public_key"]
_SIGNATURE_ALGORITHMS = tls.Context._signature_algorithms_for_private_key


@cache
def _fresh(is_client: bool) -> dict[str, Any]:
    """Return the attributes of a context that was just made; their lists are never changed in place but two."""
    return vars(tls.Context(is_client=is_client))


class HandshakeContext(_Messages, OneShareContext):
    """One handshake's TLS, for `QuicConnection`."""

    def __init__(self, *, is_client: bool, logger: Any = None, **settings: Any) -> None:
        """Take the arguments of aioquic's context."""
        values = vars(self)
        values.update(_fresh(is_client))
        self._take_settings(settings)
        if logger is not None and logger.isEnabledFor(logging.DEBUG):
            values["_Context__logger"] = logger
        self.handshake_extensions = []
        self._ec_private_keys = []
        if is_client:
            self.client_random = os.urandom(32)

    def _set_peer_certificate(self, certificate: tls.Certificate) -> None:
        try:
            self._peer_certificate, *self._peer_certificate_chain = [
                load_certificate(text) for text, _ in certificate.certificates
            ]
        except ValueError:
            super()._set_peer_certificate(certificate)  # which says what is wrong

    def _signature_algorithms_for_private_key(self) -> list[tls.SignatureAlgorithm]:
        key = self.certificate_private_key
        if isinstance(self.certificate, PublishedCertificate):
            known = self.certificate.algorithms
            if known is None or known[0] is not key:
                self.certificate.algorithms = known = key, _SIGNATURE_ALGORITHMS(self)
            return known[1]
        return _SIGNATURE_ALGORITHMS(self)

    def _certificate_message(self) -> bytes:
        """Return the Certificate message of a server, or of a client that was asked for one without a context."""
        certificate, chain = self.certificate, self.certificate_chain
        if not isinstance(certificate, PublishedCertificate):
            return _written_message([certificate, *chain])
        known = certificate.message
        if known is None or known[0] != chain:
            certificate.message = known = list(chain), _written_message([certificate, *chain])
        return known[1]


def _written_message(certificates: list[Any]) -> bytes:
    entries = [(each.public_bytes(Encoding.DER), b"") for each in certificates]
    buf = Buffer(capacity=_MESSAGE_OVERHEAD + sum(_ENTRY_OVERHEAD + len(der) for der, _ in entries))
    tls.push_certificate(buf, tls.Certificate(request_context=b"", certificates=entries))
    return bytes(buf.data)


class PublishedCertificate:
    """A certificate that goes out in every handshake: its bytes are made once.

    Attributes:
        algorithms: a private key, and the algorithms that it can sign with; None before somebody asked.
        message: the further certificates of a chain, and the message with all of it; None before somebody asked.
    """

    def __init__(self, certificate: x509.Certificate) -> None:
        """Take a certificate, whose other methods and properties are here as well."""
        self._certificate = certificate
        self._der = certificate.public_bytes(Encoding.DER)
        self.algorithms: tuple[Any, list[tls.SignatureAlgorithm]] | None = None
        self.message: tuple[list[Any], bytes] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._certificate, name)

    def public_bytes(self, encoding: Encoding) -> bytes:
        """Return it encoded."""
        return self._der if encoding is Encoding.DER else self._certificate.public_bytes(encoding)


def encode_public_key(
    public_key: ec.EllipticCurvePublicKey | x25519.X25519PublicKey | x448.X448PublicKey,
) -> tuple[int, bytes]:
    """Return a key share; the two groups that we use without asking abstract classes what a key is."""
    key: Any = public_key
    if type(key) is _X25519_KEY:
        return tls.Group.X25519, key.public_bytes_raw()
    if type(key) is _P256_KEY and type(key.curve) is ec.SECP256R1:
        return tls.Group.SECP256R1, key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    share: tuple[int, bytes] = _encode_other(public_key)
    return share


_X25519_KEY: Any = type(x25519.X25519PrivateKey.from_private_bytes(bytes(32)).public_key())
_P256_KEY: Any = type(ec.derive_private_key(1, ec.SECP256R1()).public_key())


class AddressModule:
    """Stands in for the module `ipaddress` in `aioquic.tls`, which asks it for each client whether a name is one."""

    def __getattr__(self, name: str) -> Any:
        return getattr(ipaddress, name)

    @staticmethod
    def ip_address(address: Any) -> Any:
        """Return the address that a text stands for.

        Raises:
            ValueError: it is a name.
        """
        if not isinstance(address, str):
            return ipaddress.ip_address(address)
        made = _ip_address(address)
        if made is None:
            raise ValueError(f"{address!r} does not appear to be an IPv4 or IPv6 address")
        return made


@lru_cache(maxsize=KNOWN_NAMES)
def _ip_address(address: str) -> Any:
    try:
        return ipaddress.ip_address(address)
    except ValueError:
        return None
