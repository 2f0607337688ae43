# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""TLS 1.3's key schedule (RFC 8446, section 7.1); its twin is in `_quic/key_schedule.py`."""

from __future__ import annotations

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

from .hkdf cimport MAX_HASH, expand_label, hash_size, hmac_into

import hashlib

from aioquic.tls import cipher_suite_hash

cdef bytes _ZEROS = bytes(MAX_HASH)
cdef bytes _PADDING = b" " * 64
cdef object _new_sha256 = hashlib.sha256
cdef object _new_sha384 = hashlib.sha384
cdef bytes _empty_sha256 = hashlib.sha256().digest()
cdef bytes _empty_sha384 = hashlib.sha384().digest()


cdef const unsigned char* _data(bytes value):
    return <const unsigned char*> PyBytes_AS_STRING(value)


cdef class KeySchedule:
    """KeySchedule(cipher_suite)\n--\n\nThe secrets of one handshake, and the hash of its transcript."""

    cdef readonly object cipher_suite
    cdef readonly object algorithm
    cdef readonly int generation
    cdef readonly bytes secret
    cdef object _update
    cdef object _digest
    cdef int _size
    cdef bint _wide

    def __init__(self, cipher_suite):
        self.cipher_suite = cipher_suite
        self.algorithm = cipher_suite_hash(cipher_suite)
        self._size = hash_size(self.algorithm)
        self._wide = self._size == MAX_HASH
        self.secret = _ZEROS[:self._size]
        transcript = _new_sha384() if self._wide else _new_sha256()
        self._update = transcript.update
        self._digest = transcript.digest

    cdef bytes _expand(self, bytes secret, const char* label, bytes context):
        result = PyBytes_FromStringAndSize(NULL, self._size)
        expand_label(
            self._wide, _data(secret), PyBytes_GET_SIZE(secret), label, _data(context), PyBytes_GET_SIZE(context),
            <unsigned char*> PyBytes_AS_STRING(result), self._size,
        )
        return result

    cdef bytes _hmac(self, bytes key, bytes message):
        result = PyBytes_FromStringAndSize(NULL, self._size)
        hmac_into(
            self._wide, _data(key), PyBytes_GET_SIZE(key), _data(message), PyBytes_GET_SIZE(message),
            <unsigned char*> PyBytes_AS_STRING(result),
        )
        return result

    def certificate_verify_data(self, bytes context_string not None):
        """Return what the CertificateVerify message signs (RFC 8446, 4.4.3)."""
        return _PADDING + context_string + b"\x00" + self._digest()

    def finished_verify_data(self, bytes secret not None):
        """Return what the Finished message of the owner of a traffic secret says (RFC 8446, 4.4.4)."""
        return self._hmac(self._expand(secret, b"finished", b""), self._digest())

    def derive_secret(self, bytes label not None):
        """Derive-Secret, with the transcript so far."""
        return self._expand(self.secret, PyBytes_AS_STRING(label), self._digest())

    def extract(self, bytes key_material=None):
        """Go on to the next secret; without key material with zeros."""
        if self.generation:
            self.secret = self._expand(self.secret, b"derived", _empty_sha384 if self._wide else _empty_sha256)
        self.generation += 1
        self.secret = self._hmac(self.secret, _ZEROS[:self._size] if key_material is None else key_material)

    def update_hash(self, data):
        """Add a message to the transcript."""
        self._update(data)
