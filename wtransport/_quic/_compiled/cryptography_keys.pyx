# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""Packet protection with the `cryptography` package, where no libcrypto is found that can be called directly."""

from __future__ import annotations

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.string cimport memcpy

from .protection cimport IV_SIZE, MASK_SIZE, SAMPLE_SIZE, PacketKeys

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305


cdef class CryptographyKeys(PacketKeys):
    """CryptographyKeys(cipher, key, iv, header_key)\n--\n\nThe keys of one direction and key phase."""

    cdef object _aead
    cdef object _header_cipher
    cdef object _reset_nonce  # ChaCha20's, None otherwise

    def __init__(self, cipher, bytes key not None, bytes iv not None, bytes header_key not None):
        if cipher == "chacha20-poly1305":
            self._aead = ChaCha20Poly1305(key)
            encryptor = Cipher(algorithms.ChaCha20(header_key, bytes(SAMPLE_SIZE)), mode=None).encryptor()
            self._reset_nonce = encryptor.reset_nonce
        else:
            self._aead = AESGCM(key)
            encryptor = Cipher(algorithms.AES(header_key), modes.ECB()).encryptor()
        self._header_cipher = encryptor.update

    cdef int _encrypt(
        self,
        const unsigned char* nonce,
        const unsigned char* header,
        Py_ssize_t header_size,
        unsigned char* payload,
        Py_ssize_t payload_size,
    ) noexcept:
        cdef bytes sealed
        try:
            sealed = self._aead.encrypt(nonce[:IV_SIZE], payload[:payload_size], header[:header_size])
        except Exception:
            return -1
        memcpy(payload, PyBytes_AS_STRING(sealed), PyBytes_GET_SIZE(sealed))
        return 0

    cdef int _decrypt(
        self,
        const unsigned char* nonce,
        const unsigned char* header,
        Py_ssize_t header_size,
        const unsigned char* sealed,
        Py_ssize_t sealed_size,
        unsigned char* out,
    ) noexcept:
        cdef bytes payload
        try:
            payload = self._aead.decrypt(nonce[:IV_SIZE], sealed[:sealed_size], header[:header_size])
        except Exception:  # InvalidTag
            return -1
        memcpy(out, PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload))
        return 0

    cdef int _mask(self, const unsigned char* sample, unsigned char* mask) noexcept:
        cdef bytes stream
        try:
            if self._reset_nonce is None:
                stream = self._header_cipher(sample[:SAMPLE_SIZE])
            else:
                self._reset_nonce(sample[:SAMPLE_SIZE])
                stream = self._header_cipher(bytes(MASK_SIZE))
        except Exception:
            return -1
        memcpy(mask, PyBytes_AS_STRING(stream), MASK_SIZE)
        return 0
