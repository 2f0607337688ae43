"""Certificates of peers, read once: who meets one again, as a client its server's, need not read its key again.

What is remembered is what a certificate says. Whether it can be trusted, and whether the peer has its key, is checked
in every handshake.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from aioquic import tls
from cryptography import x509

__all__ = ["MAX_KNOWN_CERTIFICATE", "load_certificate", "signature_check"]

MAX_KNOWN_CERTIFICATE = 4096
"""Bytes of the largest certificate that is remembered; 64 of them are."""


def load_certificate(der: bytes) -> x509.Certificate:
    """Return a certificate.

    Raises:
        ValueError: it cannot be read.
    """
    if len(der) > MAX_KNOWN_CERTIFICATE:
        return x509.load_der_x509_certificate(der)
    return _known_certificate(der)


_known_certificate = lru_cache(maxsize=64)(x509.load_der_x509_certificate)


@lru_cache(maxsize=64)
def signature_check(certificate: x509.Certificate, algorithm: int) -> tuple[Callable[..., None], tuple[Any, ...]]:
    """Return what checks a signature of TLS, to be called with the signature and what it signs, and its last arguments.

    Args:
        certificate: of the peer.
        algorithm: that of its signature (RFC 8446, 4.2.3).

    Raises:
        Exception: the certificate's key cannot be used, or makes no such signatures; aioquic says what is wrong.
    """
    key: Any = certificate.public_key()
    fits = isinstance(key, tls.signature_algorithm_key_type(algorithm))
    if not fits or algorithm in tls.RSA_PKCS1_SIGNATURE_ALGORITHMS:  # the latter are for certificates (RFC 8446, 4.4.3)
        raise ValueError("no signature of a handshake by this key")
    return key.verify, tls.signature_algorithm_params(algorithm)
