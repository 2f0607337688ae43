"""The arithmetic of the TLS exporter (RFC 8446, 7.5)."""

from __future__ import annotations

from aioquic.tls import hkdf_expand_label
from cryptography.hazmat.primitives.hashes import Hash, HashAlgorithm


def exported(algorithm: HashAlgorithm, secret: bytes, label: bytes, context: bytes, length: int) -> bytes:
    """Return `length` bytes for a label and a context.

    Args:
        algorithm: the hash of the cipher suite.
        secret: the exporter master secret.
        label: says what the bytes are for.
        context: binds them to something.
        length: how many.
    """
    # Derive-Secret(Secret, label, ""), whose transcript is empty, then HKDF-Expand-Label with the context's hash.
    secret = hkdf_expand_label(algorithm, secret, label, _hashed(algorithm, b""), algorithm.digest_size)
    return hkdf_expand_label(algorithm, secret, b"exporter", _hashed(algorithm, context), length)


def _hashed(algorithm: HashAlgorithm, data: bytes) -> bytes:
    digest = Hash(algorithm)
    digest.update(data)
    return digest.finalize()
