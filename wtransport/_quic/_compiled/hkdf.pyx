# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""HMAC and TLS 1.3's HKDF-Expand-Label (RFC 8446, section 7.1), with SHA-256 or SHA-384.

A handshake derives some thirty secrets and keys at each end, which costs more to ask for than to do. The hashes are
libcrypto's, called where it keeps their state in memory of the caller; without it they are Python's.
"""

from __future__ import annotations

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint64_t
from libc.string cimport memcpy, memset, strlen

from .libcrypto cimport crypto_open, crypto_symbol

import hashlib

from .libcrypto_keys import LIBRARY

cdef enum:
    NARROW_HASH = 32
    NARROW_BLOCK = 64
    WIDE_BLOCK = 128
    INNER_PAD = 0x36  # RFC 2104
    OUTER_PAD = 0x5C
    MAX_INFO = 512

ctypedef int (*Starter)(void* state) noexcept nogil
ctypedef int (*Feeder)(void* state, const void* data, size_t size) noexcept nogil
ctypedef int (*Ender)(unsigned char* out, void* state) noexcept nogil

cdef struct Hash:
    Starter start
    Feeder feed
    Ender end
    int size
    int block

cdef Hash[2] _hashes  # SHA-256, SHA-384; without functions where Python's are used

_hashes[0].size, _hashes[0].block = NARROW_HASH, NARROW_BLOCK
_hashes[1].size, _hashes[1].block = MAX_HASH, WIDE_BLOCK


cdef int hash_size(algorithm) except -1:
    """Return the bytes of the hash of one of `cryptography`'s algorithms."""
    name = algorithm.name
    if name == "sha256":
        return NARROW_HASH
    if name == "sha384":
        return MAX_HASH
    raise KeyError(name)


cdef int hmac_into(
    bint wide, const unsigned char* key, Py_ssize_t key_size, const unsigned char* message, Py_ssize_t size,
    unsigned char* out,
) except -1:
    """Write the HMAC of a message."""
    cdef uint64_t[32] state  # libcrypto's, of 216 bytes at most
    cdef unsigned char[WIDE_BLOCK] pad
    cdef Hash* functions = &_hashes[wide]
    cdef int block = functions.block
    cdef int i
    if key_size > block:
        raise ValueError("the key is longer than a block")
    memset(pad, INNER_PAD, block)
    for i in range(key_size):
        pad[i] ^= key[i]
    if functions.start == NULL:
        return _python_hmac(wide, pad, block, message, size, out)
    functions.start(state)
    functions.feed(state, pad, block)
    functions.feed(state, message, size)
    functions.end(out, state)
    for i in range(block):
        pad[i] ^= INNER_PAD ^ OUTER_PAD
    functions.start(state)
    functions.feed(state, pad, block)
    functions.feed(state, out, functions.size)
    functions.end(out, state)
    memset(pad, 0, sizeof(pad))
    return 0


cdef int _python_hmac(
    bint wide, unsigned char* pad, int block, const unsigned char* message, Py_ssize_t size, unsigned char* out
) except -1:
    new = hashlib.sha384 if wide else hashlib.sha256
    cdef int i
    cdef bytes inner = new(pad[:block] + message[:size]).digest()
    for i in range(block):
        pad[i] ^= INNER_PAD ^ OUTER_PAD
    cdef bytes outer = new(pad[:block] + inner).digest()
    memcpy(out, PyBytes_AS_STRING(outer), _hashes[wide].size)
    return 0


cdef int expand_label(
    bint wide, const unsigned char* secret, Py_ssize_t secret_size, const char* label, const unsigned char* context,
    Py_ssize_t context_size, unsigned char* out, int size,
) except -1:
    """Write `size` bytes, as many as a hash has at most: one round of HKDF-Expand (RFC 5869, 2.3)."""
    cdef unsigned char[MAX_INFO] info
    cdef unsigned char[MAX_HASH] result
    cdef size_t label_size = strlen(label)
    cdef Py_ssize_t end
    if label_size > 249 or context_size > 255 - 1 or size > _hashes[wide].size:
        raise ValueError("too long")
    if 10 + label_size + context_size + 1 > MAX_INFO:
        raise ValueError("too long")
    info[0], info[1] = size >> 8, size & 0xFF
    info[2] = <unsigned char> (6 + label_size)
    memcpy(&info[3], b"tls13 ", 6)
    memcpy(&info[9], label, label_size)
    end = 9 + label_size
    info[end] = <unsigned char> context_size
    if context_size:  # without one there may be no pointer either, which memcpy must not be given
        memcpy(&info[end + 1], context, context_size)
    end += 1 + context_size
    info[end] = 1
    hmac_into(wide, secret, secret_size, info, end + 1, result)
    memcpy(out, result, size)
    return 0


def hmac(bint wide, bytes key not None, bytes message not None):
    """Return the HMAC of a message, with SHA-384 if `wide`, else SHA-256; the key is no longer than a block."""
    result = PyBytes_FromStringAndSize(NULL, _hashes[wide].size)
    hmac_into(
        wide, <const unsigned char*> PyBytes_AS_STRING(key), len(key),
        <const unsigned char*> PyBytes_AS_STRING(message), len(message),
        <unsigned char*> PyBytes_AS_STRING(result),
    )
    return result


def use_library(name):
    """Take the hashes of a libcrypto, or with None Python's; return whether the library's are used.

    They are used only if they give known answers.
    """
    cdef void* library = NULL if name is None else crypto_open(PyBytes_AS_STRING(name.encode()), False)
    cdef int wide
    cdef bytes prefix
    for wide in range(2):
        _hashes[wide].start = NULL
    if library == NULL:
        return False
    for wide in range(2):
        prefix = b"SHA384" if wide else b"SHA256"
        _hashes[wide].feed = <Feeder> crypto_symbol(library, PyBytes_AS_STRING(prefix + b"_Update"))
        _hashes[wide].end = <Ender> crypto_symbol(library, PyBytes_AS_STRING(prefix + b"_Final"))
        if _hashes[wide].feed == NULL or _hashes[wide].end == NULL:
            continue
        _hashes[wide].start = <Starter> crypto_symbol(library, PyBytes_AS_STRING(prefix + b"_Init"))
    for wide in range(2):
        if hmac(wide, _KEY, _MESSAGE) != _ANSWERS[wide]:
            _hashes[0].start = _hashes[1].start = NULL
            return False
    return _hashes[0].start != NULL and _hashes[1].start != NULL


# RFC 4231, test case 2.
_KEY, _MESSAGE = b"Jefe", b"what do ya want for nothing?"
_ANSWERS = (
    bytes.fromhex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
    bytes.fromhex("af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649"),
)

use_library(LIBRARY)
